// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The user's process's end of the zygote: makes it, and rings it.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <procpool/detail/os/descriptor_registry.hpp>
#include <procpool/detail/os/pidfd.hpp>
#include <procpool/detail/pool/zygote.hpp>
#include <procpool/error/message.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

class ZygoteLink {
 public:
  /// Forks the zygote, twice, so that this process has no child of the library's, and waits until `preload` has run.
  /// Throws what `preload` threw, UsageError if it left threads behind, BrokenPool if the process has ended meanwhile.
  ZygoteLink(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program);
  ZygoteLink(const ZygoteLink&) = delete;
  ZygoteLink& operator=(const ZygoteLink&) = delete;

  /// The zygote leaves. Where this process adopts orphans, as the first of a container does, it is its child, and would
  /// stay there dead.
  ~ZygoteLink() { reap_if_adopted(); }

  /// Asks it to look at the rows and the words.
  void ring() const noexcept {
    const char news = 'n';
    ::send(socket_.get(), &news, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  /// If somebody has stopped it (SIGSTOP), it runs again; without a descriptor of the process nothing happens.
  void go_on() const noexcept { send_signal(process_, SIGCONT); }

  /// Sleeps until the zygote has news or has ended, somebody rings the eventfd `bell`, or so many milliseconds are
  /// over; -1: without end. True if it has ended.
  [[nodiscard]] bool listen(int bell, int timeout) const noexcept;

 private:
  struct SocketPair {
    RegisteredFd ours;
    RegisteredFd theirs;
  };

  static SocketPair make_sockets();
  ZygoteLink(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program, SocketPair sockets);
  static void fork_twice(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program, SocketPair& sockets);
  [[noreturn]] static void be_zygote(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program,
                                     UniqueFd socket, UniqueFd user_process) noexcept;
  static void preload(const WorkerProgram& program, int socket);
  static void die_with_peer(int socket, bool dies) noexcept;
  [[nodiscard]] static std::vector<std::byte> receive(int socket, const char* why_ended);
  [[nodiscard]] static ::pid_t await_pid(int socket);
  void await_preload(bool has_code_of_the_users) const;
  [[nodiscard]] bool has_gone_or_is_killed() const noexcept;
  void reap_if_adopted() const noexcept;

  static constexpr char ready = 'r';
  static constexpr const char* was_ended =
      "the process that forks the workers was ended by somebody before it was ready; nothing was started";
  static constexpr int time_to_write = 1000;                    // milliseconds
  static constexpr auto by_pidfd = static_cast<::idtype_t>(3);  // P_PIDFD, which has its name since glibc 2.36

  RegisteredFd socket_;  // its end of stream is the zygote's end, unless another process holds the other end too
  UniqueFd process_;     // readable when the zygote has ended; closed where the system has no such descriptor
};

inline ZygoteLink::SocketPair ZygoteLink::make_sockets() {
  const DescriptorRegistry::Lock registry = DescriptorRegistry::instance().lock();
  DescriptorRegistry::instance().expect(2);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair for a pool");
  }
  return {RegisteredFd(registry, ends[0]), RegisteredFd(registry, ends[1])};
}

inline ZygoteLink::ZygoteLink(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program)
    : ZygoteLink(exchange, layout, program, make_sockets()) {}

inline ZygoteLink::ZygoteLink(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program, SocketPair sockets)
    : socket_((fork_twice(exchange, layout, program, sockets), std::move(sockets.ours))) {
  sockets.theirs.reset();
  // Another thread may have forked while the other end of the socket was open here: that child keeps it open.
  process_ = open_pidfd(await_pid(socket_.get()));
  try {
    await_preload(program.preload != nullptr);
  } catch (...) {
    if (has_gone_or_is_killed()) reap_if_adopted();
    throw;
  }
}

inline void ZygoteLink::fork_twice(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program,
                                   SocketPair& sockets) {
  UniqueFd user_process = open_pidfd(::getpid());  // before the fork: later the pid might be another's
  flush_standard_streams_before_fork();
  const SignalBlock no_handler_of_the_users_in_the_child;
  DescriptorRegistry::Lock registry = DescriptorRegistry::instance().lock();
  const ::pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork of a pool's zygote");
  if (child == 0) {
    const ::pid_t grandchild = ::fork();
    if (grandchild < 0) {  // told in place of its pid: perhaps it is not this library who reaps this process
      const ::pid_t refusal = -errno;
      ::send(sockets.theirs.get(), &refusal, sizeof refusal, MSG_NOSIGNAL);
    }
    if (grandchild != 0) ::_exit(0);
    DescriptorRegistry::instance().close_all_but({exchange.mapping.descriptor(), sockets.theirs.get()},
                                                 std::move(registry));
    static_cast<void>(sockets.ours.release());  // closed
    be_zygote(exchange, layout, program, UniqueFd(sockets.theirs.release()), std::move(user_process));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    throw BrokenPool(message({"the process that makes the one which forks the workers was killed by signal ",
                              WTERMSIG(status), "; nothing was started"}));
  }
}

inline void ZygoteLink::be_zygote(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program, UniqueFd socket,
                                  UniqueFd user_process) noexcept {
  purge_standard_streams();
  preload(program, socket.get());
  Zygote(exchange, layout, program, std::move(socket), std::move(user_process)).run();
}

/// While the user's code runs nobody polls: the kernel kills this process when the other end of the socket is closed.
inline void ZygoteLink::die_with_peer(int socket, bool dies) noexcept {
  const int flags = ::fcntl(socket, F_GETFL);
  ::fcntl(socket, F_SETSIG, dies ? SIGKILL : 0);
  ::fcntl(socket, F_SETOWN, ::getpid());
  ::fcntl(socket, F_SETFL, dies ? flags | O_ASYNC : flags & ~O_ASYNC);
  char nothing = 0;
  if (::recv(socket, &nothing, 1, MSG_PEEK | MSG_DONTWAIT) == 0) ::_exit(0);  // It was closed before.
}

/// Reports its pid; then that it is ready, or an encoded exception, and then ends.
inline void ZygoteLink::preload(const WorkerProgram& program, int socket) {
  const ::pid_t self = ::getpid();
  ::send(socket, &self, sizeof self, MSG_NOSIGNAL);
  std::exception_ptr failure;
  try {
    if (program.preload) {
      die_with_peer(socket, true);
      program.preload();
      die_with_peer(socket, false);
    }
    if (const std::size_t threads = program.preload ? threads_of_this_process() : 1; threads > 1) {
      throw UsageError("PoolOptions::preload left " + std::to_string(threads - 1) +
                       " threads running in the process that forks the workers; threads do not survive a fork: start "
                       "them in the initializer instead");
    }
  } catch (...) {
    failure = std::current_exception();
    die_with_peer(socket, false);
  }
  if (!failure) {
    ::send(socket, &ready, sizeof ready, MSG_NOSIGNAL);
    return;
  }
  const EncodedException report = encode_exception(failure);
  ::send(socket, report.bytes().data(), report.bytes().size(), MSG_NOSIGNAL);
  flush_standard_streams();
  ::_exit(initializer_failed_status);
}

/// What the zygote tells before it serves. Throws if it has ended.
inline std::vector<std::byte> ZygoteLink::receive(int socket, const char* why_ended) {
  std::vector<std::byte> report(std::size_t{64} << 10);
  ssize_t size = 0;
  do {
    size = ::recv(socket, report.data(), report.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) throw BrokenPool(why_ended);
  report.resize(static_cast<std::size_t>(size));
  return report;
}

inline ::pid_t ZygoteLink::await_pid(int socket) {
  ::pid_t pid = 0;
  const std::vector<std::byte> report = receive(socket, was_ended);
  std::memcpy(&pid, report.data(), std::min(report.size(), sizeof pid));
  if (pid < 0) throw std::system_error(-pid, std::generic_category(), "fork of a pool's zygote");
  return pid;
}

inline void ZygoteLink::await_preload(bool has_code_of_the_users) const {
  const std::vector<std::byte> report =
      receive(socket_.get(), has_code_of_the_users
                                 ? "PoolOptions::preload ended the process that forks the workers; nothing was started"
                                 : was_ended);
  if (report.size() != sizeof ready) std::rethrow_exception(decode_exception(report, 0, "preload"));
}

/// After a failure: a zygote that is this process's child is to be waited for, but not for ever. What `preload` has
/// printed may fill a pipe that this process alone reads: then the rest is lost.
inline bool ZygoteLink::has_gone_or_is_killed() const noexcept {
  siginfo_t end{};
  const auto process = static_cast<::id_t>(process_.get());
  if (!process_.is_open() || ::waitid(by_pidfd, process, &end, WEXITED | WNOHANG | WNOWAIT) != 0) return true;
  const SignalBlock no_handler_cuts_it_short;
  pollfd ended{process_.get(), POLLIN, 0};
  return ::poll(&ended, 1, time_to_write) > 0 || send_signal(process_, SIGKILL);
}

inline bool ZygoteLink::listen(int bell, int timeout) const noexcept {
  pollfd watched[] = {{socket_.get(), POLLIN, 0}, {bell, POLLIN, 0}, {process_.get(), POLLIN, 0}};
  if (::poll(watched, std::size(watched), timeout) <= 0) return false;
  eventfd_t rings = 0;
  if (watched[1].revents != 0) ::eventfd_read(bell, &rings);
  if (watched[2].revents != 0) return true;
  if (watched[0].revents == 0) return false;
  char news[256];
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), news, sizeof news, MSG_DONTWAIT);
    if (size == 0) return true;
    if (size < 0) return errno != EAGAIN && errno != EINTR;
  }
}

/// Ends the stream, though another child may hold this end of it, so that the zygote leaves if it has not left. Waits
/// for its end if it is a child, and surely for no other child of the user's.
inline void ZygoteLink::reap_if_adopted() const noexcept {
  ::shutdown(socket_.get(), SHUT_RDWR);
  siginfo_t end{};
  while (process_.is_open() && ::waitid(by_pidfd, static_cast<::id_t>(process_.get()), &end, WEXITED) != 0 &&
         errno == EINTR) {
  }
}

}  // namespace procpool::detail
