// SPDX-License-Identifier: Apache-2.0
#include "CBPF.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// mount/setup.sh makes the program and says where it is; `swift build` alone makes none.
#ifdef MPIFS_BPF
#if __has_include(<bpf/libbpf.h>)
#define MPIFS_HAS_PROGRAM
#endif
#endif

#ifdef MPIFS_HAS_PROGRAM

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

// Aligned as libelf reads it.
__attribute__((aligned(16))) static const unsigned char program[] = {
#include MPIFS_BPF
};

#define FUNCTIONS(F) \
  F(bpf_iter_create) \
  F(bpf_link__destroy) \
  F(bpf_link__fd) \
  F(bpf_map__fd) \
  F(bpf_map__set_max_entries) \
  F(bpf_object__close) \
  F(bpf_object__find_map_by_name) \
  F(bpf_object__find_program_by_name) \
  F(bpf_object__load)         \
  F(bpf_object__open_mem)     \
  F(bpf_program__attach_iter) \
  F(libbpf_set_print)

// libbpf, once it is loaded. The types come from its own headers, so a call through the table is checked like any other.
#define DECLARE(name) __typeof__(&name) name;
typedef struct {
  FUNCTIONS(DECLARE)
} functions;

struct mpifs_bpf_list {
  struct bpf_object *object;
  struct bpf_link *link;
  mpifs_bpf_record *records;
  size_t bytes;
};

static functions bpf;
static bool is_loaded;
// What libbpf warned of first since it was last cleared: later lines say what that led to.
static _Thread_local char complaint[256];

static int note_complaint(enum libbpf_print_level level, const char *format, va_list arguments) {
  if (level != LIBBPF_WARN || complaint[0]) return 0;
  vsnprintf(complaint, sizeof complaint, format, arguments);
  complaint[strcspn(complaint, "\n")] = 0;
  return 0;
}

// It stays loaded for the life of the process.
static bool load_functions(char *message, size_t size) {
  if (is_loaded) return true;
  const char *file = "libbpf.so.1";
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    const bool is_missing = reason && strstr(reason, "No such file") && !strncmp(reason, file, strlen(file));
    snprintf(message, size, "%s%s", is_missing || !reason ? file : reason, is_missing ? ": not found" : "");
    return false;
  }
#define RESOLVE(name)                                    \
  *(void **)&bpf.name = dlsym(library, #name);           \
  if (!bpf.name) {                                       \
    snprintf(message, size, "%s has no " #name, file);   \
    return false;                                        \
  }
  FUNCTIONS(RESOLVE)
  bpf.libbpf_set_print(note_complaint);
  is_loaded = true;
  return true;
}

size_t mpifs_bpf_program_size(void) { return sizeof program; }

// A step that failed, as -errno.
static int32_t fail(const char *step, int error, char *message, size_t size) {
  if (error == 0) error = EINVAL;
  // libbpf's first complaint is then of a limit that it tried to raise.
  if (error == EPERM) {
    snprintf(message, size, "%s: %s (root may, or who has CAP_BPF and CAP_PERFMON)", step, strerror(error));
    return -error;
  }
  // It knows no type of that name.
  if (error == ESRCH) {
    snprintf(message, size, "this kernel has none, which came with 6.16");
    return -error;
  }
  snprintf(message, size, "%s: %s%s%s", step, strerror(error), complaint[0] ? "; " : "", complaint);
  return -error;
}

static int32_t load(mpifs_bpf_list *list, uint32_t capacity, char *message, size_t size) {
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "mpifs_dmabuf");
  list->object = bpf.bpf_object__open_mem(program, sizeof program, &options);
  if (!list->object) return fail("libbpf cannot read the program", errno, message, size);
  struct bpf_map *map = bpf.bpf_object__find_map_by_name(list->object, "records");
  struct bpf_program *lister = bpf.bpf_object__find_program_by_name(list->object, "list_dmabufs");
  if (!map || !lister) return fail("the program lacks a part", EINVAL, message, size);
  // One more: the first is none of a buffer.
  int error = bpf.bpf_map__set_max_entries(map, capacity + 1);
  if (error) return fail("the list", -error, message, size);
  error = bpf.bpf_object__load(list->object);
  if (error) return fail("the kernel does not load the program", -error, message, size);
  list->link = bpf.bpf_program__attach_iter(lister, NULL);
  if (!list->link) return fail("the kernel does not attach the program", errno, message, size);
  list->bytes = (size_t)(capacity + 1) * sizeof(mpifs_bpf_record);
  void *address = mmap(NULL, list->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf.bpf_map__fd(map), 0);
  if (address == MAP_FAILED) return fail("the list cannot be mapped", errno, message, size);
  list->records = address;
  return 0;
}

int32_t mpifs_bpf_open(uint32_t capacity, mpifs_bpf_list **list, char *message, size_t size) {
  *list = NULL;
  // What libbpf says where this is missing names half a dozen places.
  const char *types = "/sys/kernel/btf/vmlinux";
  const int file = open(types, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    const int error = errno;
    snprintf(message, size, "%s: %s", types, strerror(error));
    return -error;
  }
  close(file);
  if (!load_functions(message, size)) return -ENOENT;
  mpifs_bpf_list *made = calloc(1, sizeof *made);
  if (!made) return fail("memory", ENOMEM, message, size);
  complaint[0] = 0;
  const int32_t result = load(made, capacity, message, size);
  if (result) {
    mpifs_bpf_close(made);
  } else {
    *list = made;
  }
  return result;
}

int64_t mpifs_bpf_look(mpifs_bpf_list *list) {
  list->records->inode = 0;
  const int iterator = bpf.bpf_iter_create(bpf.bpf_link__fd(list->link));
  if (iterator < 0) return iterator;
  // The program writes nothing there, so that this goes through all of the list and ends.
  char nothing[64];
  ssize_t got;
  do {
    got = read(iterator, nothing, sizeof nothing);
  } while (got > 0 || (got < 0 && errno == EINTR));
  const int error = got < 0 ? errno : 0;
  close(iterator);
  return error ? -error : (int64_t)list->records->inode;
}

const mpifs_bpf_record *mpifs_bpf_records(const mpifs_bpf_list *list) { return list->records + 1; }

void mpifs_bpf_close(mpifs_bpf_list *list) {
  if (list->records) munmap(list->records, list->bytes);
  if (list->link) bpf.bpf_link__destroy(list->link);
  if (list->object) bpf.bpf_object__close(list->object);
  free(list);
}

#else

size_t mpifs_bpf_program_size(void) { return 0; }

int32_t mpifs_bpf_open(uint32_t capacity, mpifs_bpf_list **list, char *message, size_t size) {
  (void)capacity;
  *list = NULL;
  snprintf(message, size, "not built: mount/start makes it where the compiler and libbpf's headers allow");
  return -ENOSYS;
}

int64_t mpifs_bpf_look(mpifs_bpf_list *list) {
  (void)list;
  return -ENOSYS;
}

const mpifs_bpf_record *mpifs_bpf_records(const mpifs_bpf_list *list) {
  (void)list;
  return NULL;
}

void mpifs_bpf_close(mpifs_bpf_list *list) { (void)list; }

#endif
