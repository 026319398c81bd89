// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Runs in the kernel, which calls it for each DMA-BUF there is (`iter/dmabuf`), and writes a record of it into a map.
//
// Into a map and not into the iterator's file: from 6.16 on there are kernels that end the list where one read of that file is full.
// Nothing is written there, so that one read goes through the whole list.
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u64 uint64_t;

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "CBPFRecord.h"

// Some of its helpers are for programs that are GPL among others.
char LICENSE[] SEC("license") = "Dual BSD/GPL";

// Of the kernel's structures the members that are read; where they lie is filled in when the program is loaded (CO-RE).
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct inode {
  unsigned long i_ino;
};

struct file {
  struct inode *f_inode;
  // Counts from 0 for one reference (include/linux/file_ref.h), since 6.13.
  struct {
    struct {
      long counter;
    } refcnt;
  } f_ref;
};

struct dma_buf {
  unsigned long size;
  struct file *file;
  const char *exp_name;
  const char *name;
};

struct bpf_iter_meta;

struct bpf_iter__dmabuf {
  struct bpf_iter_meta *meta;
  struct dma_buf *dmabuf;
};

#pragma clang attribute pop

// From linux/bpf.h, whose own headers are those of a machine.
enum { map_type_array = 2, map_is_mappable = 1 << 10 };

struct {
  __uint(type, map_type_array);
  __uint(map_flags, map_is_mappable);
  // Whoever loads it says how many.
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, mpifs_bpf_record);
} records SEC(".maps");

SEC("iter/dmabuf")
int list_dmabufs(struct bpf_iter__dmabuf *context) {
  struct dma_buf *buffer = context->dmabuf;
  if (!buffer) return 0;
  __u32 index = 0;
  mpifs_bpf_record *head = bpf_map_lookup_elem(&records, &index);
  if (!head) return 0;
  index = ++head->inode;
  mpifs_bpf_record *record = bpf_map_lookup_elem(&records, &index);
  if (!record) return 0;
  record->inode = buffer->file->f_inode->i_ino;
  record->size = buffer->size;
  record->references = MPIFS_BPF_UNKNOWN;
  // The iterator's own reference is one of them, so the count from 0 is that of the others.
  if (bpf_core_field_exists(buffer->file->f_ref)) record->references = buffer->file->f_ref.refcnt.counter;
  // The name may be replaced meanwhile: the kernel's lock for it cannot be had here. What was one is read then, or bytes that
  // were its place; reads of what is gone fail and leave the text empty.
  record->name[0] = 0;
  record->exporter[0] = 0;
  if (buffer->name) bpf_probe_read_kernel_str(record->name, sizeof record->name, buffer->name);
  bpf_probe_read_kernel_str(record->exporter, sizeof record->exporter, buffer->exp_name);
  return 0;
}
