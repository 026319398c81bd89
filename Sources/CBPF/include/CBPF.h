// SPDX-License-Identifier: Apache-2.0
// The kernel's own list of DMA-BUFs, gone through by a BPF program (program/dmabuf.bpf.c; Linux 6.16 and newer: `iter/dmabuf`). libbpf
// loads it, and is itself opened at the first use and never linked: most boards have none.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "CBPFRecord.h"

// The loaded program and its list. Owned by the caller between open and close; of one thread.
typedef struct mpifs_bpf_list mpifs_bpf_list;

// Bytes of the program in this build; 0 where it was built without.
size_t mpifs_bpf_program_size(void);

// Loads the program with a list of so many records and keeps it in the kernel until it is closed.
// 0, or -errno with `message` saying what was missing or refused.
int32_t mpifs_bpf_open(uint32_t capacity, mpifs_bpf_list **list, char *message, size_t size);

// Goes through all buffers once. How many there are, which may be more than the list holds, or -errno.
int64_t mpifs_bpf_look(mpifs_bpf_list *list);

// The records of the last look, valid until the next one.
const mpifs_bpf_record *mpifs_bpf_records(const mpifs_bpf_list *list);

void mpifs_bpf_close(mpifs_bpf_list *list);
