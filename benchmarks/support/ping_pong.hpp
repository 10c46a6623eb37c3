// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Round trips between two processes with nothing around them: what the machine allows.

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>

namespace bench {

/// A child that runs `serve`, which does not return, until its owner ends it.
class Partner {
 public:
  template <class Serve>
  explicit Partner(Serve serve) : pid_{fork()} {
    if (pid_ < 0) {
      std::perror("fork");
      std::exit(1);
    }
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) serve();
    }
  }

  ~Partner() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  Partner(const Partner&) = delete;
  Partner& operator=(const Partner&) = delete;

 private:
  pid_t pid_;
};

/// Two words, each on a cache line of its own, in memory that a child shares.
class SharedWords {
 public:
  struct alignas(64) Word {
    std::atomic<std::uint32_t> value{0};
  };

  struct Words {
    Word ping;  // written by the owner, read by its partner
    Word pong;  // written by the partner, read by the owner
  };

  SharedWords() {
    void* memory = mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("mmap");
      std::exit(1);
    }
    words_ = new (memory) Words;
  }

  ~SharedWords() { munmap(words_, sizeof(Words)); }

  SharedWords(const SharedWords&) = delete;
  SharedWords& operator=(const SharedWords&) = delete;

  Words* operator->() const { return words_; }

 private:
  Words* words_ = nullptr;
};

/// A cache line there and back, both processes spinning: the limit of every hot round trip.
class CacheLinePingPong {
 public:
  void round_trip() {
    // (1) release-store, pairs with (3): the partner sees the new turn.
    words_->ping.value.store(++turn_, std::memory_order_release);
    // (2) acquire-load, pairs with (4): the partner has seen it.
    while (words_->pong.value.load(std::memory_order_acquire) != turn_) {
    }
  }

 private:
  void answer() {
    std::uint32_t turn = answered_;
    // (3) acquire-load, pairs with (1).
    while (turn == answered_) turn = words_->ping.value.load(std::memory_order_acquire);
    // (4) release-store, pairs with (2).
    words_->pong.value.store(answered_ = turn, std::memory_order_release);
  }

  SharedWords words_;
  std::uint32_t turn_ = 0;
  std::uint32_t answered_ = 0;  // the partner's own copy counts
  Partner partner_{[this] { answer(); }};
};

/// A futex wake there and back, neither process ever spinning: the limit of every sleeping round trip.
class FutexPingPong {
 public:
  void round_trip() {
    set(words_->ping.value, ++turn_);
    while (await(words_->pong.value, turn_ - 1) != turn_) {
    }
  }

 private:
  using Word = std::atomic<std::uint32_t>;

  static void set(Word& word, std::uint32_t value) {
    // (5) release-store, pairs with (6): the sleeper sees the new value.
    word.store(value, std::memory_order_release);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }

  /// Sleeps while `word` is `old`; returns what it is then.
  static std::uint32_t await(const Word& word, std::uint32_t old) {
    for (;;) {
      // (6) acquire-load, pairs with (5).
      const std::uint32_t now = word.load(std::memory_order_acquire);
      if (now != old) return now;
      syscall(SYS_futex, &word, FUTEX_WAIT, old, nullptr, nullptr, 0);
    }
  }

  void answer() { set(words_->pong.value, answered_ = await(words_->ping.value, answered_)); }

  SharedWords words_;
  std::uint32_t turn_ = 0;
  std::uint32_t answered_ = 0;  // the partner's own copy counts
  Partner partner_{[this] { answer(); }};
};

/// A byte through a pipe there, and one through another back.
class PipePingPong {
 public:
  ~PipePingPong() {
    for (const int end : {there_[0], there_[1], back_[0], back_[1]}) close(end);
  }

  PipePingPong() = default;
  PipePingPong(const PipePingPong&) = delete;
  PipePingPong& operator=(const PipePingPong&) = delete;

  void round_trip() {
    send(there_[1]);
    receive(back_[0]);
  }

 private:
  static std::array<int, 2> make_pipe() {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) == 0) return ends;
    std::perror("pipe");
    std::exit(1);
  }

  static void send(int end) {
    const char byte = 1;
    if (write(end, &byte, 1) != 1) std::exit(1);
  }

  static void receive(int end) {
    char byte = 0;
    if (read(end, &byte, 1) != 1) std::exit(1);
  }

  void answer() {
    receive(there_[0]);
    send(back_[1]);
  }

  std::array<int, 2> there_ = make_pipe();
  std::array<int, 2> back_ = make_pipe();
  Partner partner_{[this] { answer(); }};
};

}  // namespace bench
