// SPDX-License-Identifier: BSL-1.0

/// @file
/// What the sanitizers do in a test program; ASAN_OPTIONS and its like still override it.

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PROCPOOL_HAS_ASAN
#elif __has_feature(thread_sanitizer)
#define PROCPOOL_HAS_TSAN
#endif
#endif

// A worker that a task kills on purpose is to die by its signal, not by a report.
#if defined(__SANITIZE_ADDRESS__) || defined(PROCPOOL_HAS_ASAN)
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:detect_stack_use_after_return=1";
}
extern "C" const char* __ubsan_default_options();
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1:halt_on_error=1"; }
#endif

#if defined(__SANITIZE_THREAD__) || defined(PROCPOOL_HAS_TSAN)
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
  return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:"
         "halt_on_error=1:second_deadlock_stack=1:die_after_fork=0";
}
#endif
