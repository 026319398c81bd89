// SPDX-License-Identifier: Apache-2.0
// The only door to libfuse3. Fixes the API level; Swift needs FUSE_USE_VERSION before the include.
//
// Wrapped here is what Swift cannot import, or what is a function in one libfuse and a macro or a version-encoding
// inline in another (3.17 and later).
#pragma once
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A macro with a size argument in 3.14, an inline that encodes the version in 3.17.
static inline struct fuse_session *nodefs_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *ops, void *userdata) {
  return fuse_session_new(args, ops, sizeof(*ops), userdata);
}

// `want` is deprecated in favour of setters from 3.17 on.
static inline void nodefs_negotiate(struct fuse_conn_info *conn, unsigned max_write) {
  // Texts are far below what makes splicing pay, and a spliced read costs a pipe.
  const unsigned unwanted = FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
  fuse_unset_feature_flag(conn, unwanted);
#else
  conn->want &= ~unwanted;
#endif
  if (conn->max_write > max_write) conn->max_write = max_write;
  // Reads by io_submit(2) count as background requests while they are parked; releases must get past them.
  conn->max_background = 64;
}

// One serving thread: receives and processes until the session ends.
//
// In C because it ends by pthread_cancel in the blocking read of /dev/fuse, the only way to wake it that neither needs
// a signal of the process nor a second system call for each request; no Swift frame may be unwound by that.
//
// Only one thread reads the device as long as it gets on: woken in turn, several threads would each find their core's
// caches cold. The others stand by and look every few milliseconds whether all who were active are still busy with the
// request they had before; then one of them takes over. Without any request for a second they sleep.
struct nodefs_shift {
  int readers;     // threads that wait for a request now
  uint64_t done;   // requests processed
  int asleep;      // threads on stand-by that the next request must wake
  sem_t wake;
};

static inline struct nodefs_shift *nodefs_shift_new(void) {
  struct nodefs_shift *shift = (struct nodefs_shift *)calloc(1, sizeof(*shift));
  if (shift != NULL) sem_init(&shift->wake, 0, 0);
  return shift;
}

// Only when no thread uses it any more.
static inline void nodefs_shift_free(struct nodefs_shift *shift) {
  sem_destroy(&shift->wake);
  free(shift);
}

struct nodefs_worker {
  struct fuse_session *session;
  struct nodefs_shift *shift;
  // Whether the thread begins as the one that reads.
  int is_active;
  // One cell for each opcode of the FUSE protocol.
  uint64_t *opcodes;
  unsigned opcode_count;
  void *context;
  // Called when the kernel has the answer to its INIT.
  void (*ready)(void *context);
  // Called when the thread ends, from the thread.
  void (*ended)(void *context);
};

struct nodefs_worker_state {
  struct nodefs_worker *worker;
  struct fuse_buf buffer;
};

// Names the calling thread, for `top -H` and debuggers; 15 characters at most.
static inline void nodefs_name_thread(const char *name) {
  prctl(PR_SET_NAME, name, 0, 0, 0);
}

static inline void nodefs_worker_end(void *argument) {
  struct nodefs_worker_state *state = (struct nodefs_worker_state *)argument;
  struct nodefs_worker worker = *state->worker;
  free(state->buffer.mem);
  free(state->worker);
  worker.ended(worker.context);
}

// Waits until it is this thread's turn to read. A cancellation point.
static inline void nodefs_stand_by(struct fuse_session *session, struct nodefs_shift *shift) {
  const struct timespec tick = {.tv_sec = 0, .tv_nsec = 5000000};
  const int ticks_to_sleep = 200;
  uint64_t seen = __atomic_load_n(&shift->done, __ATOMIC_SEQ_CST);
  int quiet = 0;
  while (!fuse_session_exited(session)) {
    if (quiet >= ticks_to_sleep) {
      __atomic_fetch_add(&shift->asleep, 1, __ATOMIC_SEQ_CST);
      // A request taken just before has not seen that; one taken from now on will.
      if (__atomic_load_n(&shift->readers, __ATOMIC_SEQ_CST) > 0) sem_wait(&shift->wake);
      quiet = 0;
    }
    nanosleep(&tick, NULL);
    const uint64_t done = __atomic_load_n(&shift->done, __ATOMIC_SEQ_CST);
    if (done != seen) {
      quiet = 0;
      seen = done;
    } else if (__atomic_load_n(&shift->readers, __ATOMIC_SEQ_CST) == 0) {
      return;
    } else {
      quiet++;
    }
  }
}

static inline void *nodefs_worker_main(void *argument) {
  struct nodefs_worker_state state;
  memset(&state, 0, sizeof(state));
  state.worker = (struct nodefs_worker *)argument;
  struct fuse_session *session = state.worker->session;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  nodefs_name_thread("nodefs");
  pthread_cleanup_push(nodefs_worker_end, &state);
  struct nodefs_shift *shift = state.worker->shift;
  int is_active = state.worker->is_active;
  while (!fuse_session_exited(session)) {
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    if (!is_active) nodefs_stand_by(session, shift);
    is_active = 1;
    __atomic_fetch_add(&shift->readers, 1, __ATOMIC_SEQ_CST);
    int received = fuse_session_receive_buf(session, &state.buffer);
    __atomic_fetch_sub(&shift->readers, 1, __ATOMIC_SEQ_CST);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    if (received == -EINTR || received == -EAGAIN) continue;
    if (received <= 0) break;
    if (__atomic_load_n(&shift->asleep, __ATOMIC_SEQ_CST) > 0) {
      for (int count = __atomic_exchange_n(&shift->asleep, 0, __ATOMIC_SEQ_CST); count > 0; count--) {
        sem_post(&shift->wake);
      }
    }
    const uint32_t opcode = ((const struct fuse_in_header *)state.buffer.mem)->opcode;
    if (opcode < state.worker->opcode_count) {
      __atomic_fetch_add(&state.worker->opcodes[opcode], 1, __ATOMIC_RELAXED);
    }
    fuse_session_process_buf(session, &state.buffer);
    if (opcode == FUSE_INIT) state.worker->ready(state.worker->context);
    __atomic_fetch_add(&shift->done, 1, __ATOMIC_SEQ_CST);
    // Somebody took over while this thread was busy.
    if (__atomic_load_n(&shift->readers, __ATOMIC_SEQ_CST) > 0) is_active = 0;
  }
  // The session is over; whoever sleeps must see that, too, and wakes the next.
  sem_post(&shift->wake);
  pthread_cleanup_pop(1);
  return NULL;
}

// Starts a serving thread that blocks all signals. Returns 0 or an errno; on failure nothing is called.
static inline int nodefs_worker_start(pthread_t *thread, const struct nodefs_worker *worker) {
  struct nodefs_worker *copy = (struct nodefs_worker *)malloc(sizeof(*copy));
  if (copy == NULL) return ENOMEM;
  *copy = *worker;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(thread, NULL, nodefs_worker_main, copy);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) free(copy);
  return error;
}

// The kind of filesystem a path lies in, as linux/magic.h numbers them; 0 where that cannot be told.
static inline uint64_t nodefs_filesystem(const char *path) {
  struct statfs info;
  return statfs(path, &info) == 0 ? (uint64_t)info.f_type : 0;
}

// Whether a process runs or waits for nothing but a processor; not where that cannot be told.
static inline int nodefs_is_runnable(pid_t process) {
  char path[32], text[256];
  snprintf(path, sizeof(path), "/proc/%d/stat", (int)process);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t count = read(file, text, sizeof(text) - 1);
  close(file);
  text[count > 0 ? count : 0] = 0;
  // `PID (name) STATE ...`; a name may hold anything.
  const char *name_end = strrchr(text, ')');
  return name_end != NULL && name_end[1] == ' ' && name_end[2] == 'R';
}

// Looks at `path` from a child process, because a mount whose server hangs would hold the caller for ever.
// Returns 0 for a directory, ENOTDIR for another file, the errno of the failed call, or -1 when there was no answer in
// time. With `ask` the server must answer itself: stat(2) is answered from the kernel's memory, statfs(2) is not. A child that
// has had no processor in all that time gets as much again, as often as that is so: the mount has not been asked yet.
static inline int nodefs_probe(const char *path, int ask, int timeout_ms) {
  int ends[2];
  if (pipe(ends) != 0) return errno;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  pid_t child = fork();
  if (child < 0) {
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    return error;
  }
  if (child == 0) {
    // Only async-signal-safe calls from here on: other threads may have held any lock.
    struct stat info;
    struct statvfs numbers;
    int answer = stat(path, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
    if (answer == 0 && ask && statvfs(path, &numbers) != 0) answer = errno;
    ssize_t written = write(ends[1], &answer, sizeof(answer));
    _exit(written == (ssize_t)sizeof(answer) ? 0 : 1);
  }
  close(ends[1]);
  struct pollfd wait = {.fd = ends[0], .events = POLLIN};
  int ready, answer = -1;
  do {
    ready = poll(&wait, 1, timeout_ms);
  } while ((ready < 0 && errno == EINTR) || (ready == 0 && nodefs_is_runnable(child)));
  // It may have answered since.
  if (ready == 0) ready = poll(&wait, 1, 0);
  if (ready > 0 && read(ends[0], &answer, sizeof(answer)) != (ssize_t)sizeof(answer)) answer = EIO;
  close(ends[0]);
  if (ready <= 0) kill(child, SIGKILL);
  // A child that sits in a hung mount cannot even be killed; init reaps it when it goes.
  waitpid(child, NULL, ready > 0 ? 0 : WNOHANG);
  return answer;
}

// Where libfuse's lines go. It has one log function for the process, and that one gets no context.
// Swift's importer makes no variables, but those inside of functions.
typedef void (*nodefs_log_sink)(const char *line);
static inline nodefs_log_sink *nodefs_log_target(void) {
  static nodefs_log_sink sink;
  return &sink;
}

static inline void nodefs_log_line(enum fuse_log_level level, const char *format, va_list arguments) {
  char line[512];
  (void)level;
  if (vsnprintf(line, sizeof(line), format, arguments) >= 0) (*nodefs_log_target())(line);
}

// Gives each line libfuse says to `sink`, until NULL gives the lines back to libfuse. In C because a va_list is another thing on each
// architecture: on aarch64 no pointer, and Swift 6.2 cannot make a function of C that takes one.
static inline void nodefs_log_to(nodefs_log_sink sink) {
  *nodefs_log_target() = sink;
  fuse_set_log_func(sink != NULL ? nodefs_log_line : NULL);
}
