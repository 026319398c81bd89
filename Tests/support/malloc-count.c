// SPDX-License-Identifier: Apache-2.0
// Counts allocations of a running program: preload it and read the two numbers of the file that MALLOC_COUNT names. The first
// counts calls from the program itself (with the Swift runtime linked in), the second calls from shared libraries.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <link.h>

struct counts {
  _Atomic uint64_t program, libraries;
};

static struct counts before_open;
static struct counts *counts = &before_open;
static uintptr_t program_start, program_end;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static int first_object(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size, (void)data;
  program_start = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
    if (info->dlpi_phdr[i].p_type == PT_LOAD && end > program_end) program_end = end;
  }
  return 1; // The first object is the program; no other is wanted.
}

__attribute__((constructor)) static void open_counts(void) {
  const char *path = getenv("MALLOC_COUNT");
  dl_iterate_phdr(first_object, NULL);
  const int file = path ? open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
  if (file < 0 || ftruncate(file, sizeof *counts)) return;
  void *map = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (map != MAP_FAILED) counts = map;
}

static inline void count(const void *caller) {
  const uintptr_t address = (uintptr_t)caller;
  _Atomic uint64_t *counter =
      address >= program_start && address < program_end ? &counts->program : &counts->libraries;
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#define COUNT() count(__builtin_return_address(0))

void *malloc(size_t size) {
  COUNT();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  COUNT();
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  COUNT();
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  COUNT();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  COUNT();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  COUNT();
  void *memory = __libc_memalign(alignment, size);
  if (!memory) return ENOMEM;
  *result = memory;
  return 0;
}
