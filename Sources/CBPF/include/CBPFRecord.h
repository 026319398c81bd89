// SPDX-License-Identifier: Apache-2.0
// What the BPF program leaves of each buffer. Included by both sides; the types are the includer's.
#pragma once

// One buffer. Of fixed size and binary: no name can be taken for another record.
typedef struct {
  // Of the first record, which is none of a buffer: how many buffers the program was shown.
  uint64_t inode;
  // Bytes.
  uint64_t size;
  // References to its file, without the one that the kernel holds while it shows it; MPIFS_BPF_UNKNOWN where this kernel counts otherwise.
  uint64_t references;
  // Cut to fit, with a zero at the end. A buffer has a name of 31 bytes at most (DMA_BUF_NAME_LEN), an exporter the name of a module.
  char name[32];
  char exporter[56];
} mpifs_bpf_record;

#define MPIFS_BPF_UNKNOWN (~0ull)
