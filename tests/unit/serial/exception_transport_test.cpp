// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <any>
#include <cerrno>
#include <chrono>
#include <functional>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>
#include <vector>

#include <procpool/serial/exception_transport.hpp>

#include "../../support/catch.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

constexpr ::pid_t sender = 4711;

/// What arrives of an exception that the task "score" threw in process 4711.
std::exception_ptr sent(const std::exception_ptr& thrown) {
  const EncodedException encoded = encode_exception(thrown);
  return decode_exception(encoded.bytes(), sender, "score");
}

template <class T>
std::exception_ptr sent(T thrown) {
  return sent(std::make_exception_ptr(std::move(thrown)));
}

/// Its message, if it arrived as a `T` and knows its origin.
template <class T>
std::string message_as(const std::exception_ptr& arrived, const std::string& type_name) {
  try {
    std::rethrow_exception(arrived);
  } catch (const std::exception& exception) {
    const auto* origin = dynamic_cast<const RemoteOrigin*>(&exception);
    if (dynamic_cast<const T*>(&exception) == nullptr) return std::string("as something else: ") + exception.what();
    if (origin == nullptr || origin->pid() != sender || origin->label() != "score") return "without its origin";
    if (origin->type_name() != type_name) return "as " + origin->type_name();
    return exception.what();
  }
}

template <class T>
bool arrives_as_itself(const std::string& type_name, T thrown) {
  const std::string text = thrown.what();
  const std::string arrived = message_as<T>(sent(std::move(thrown)), type_name);
  CAPTURE(type_name, text, arrived);
  CHECK(arrived == text);
  return arrived == text;
}

std::string name_of_remote(const std::exception_ptr& arrived) {
  try {
    std::rethrow_exception(arrived);
  } catch (const RemoteOrigin& origin) {
    return origin.type_name();
  }
}

struct ParseError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Unusual {};

struct Silent : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};

class LibraryCategory : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "library"; }
  [[nodiscard]] std::string message(int) const override { return "the library's own words"; }
};

std::error_code code_of_arrived(const std::exception_ptr& arrived) {
  try {
    std::rethrow_exception(arrived);
  } catch (const std::system_error& error) {
    return error.code();
  }
}

}  // namespace

TEST_CASE("standard exceptions arrive as their own type, with their message and their origin") {
  CHECK(arrives_as_itself("std::logic_error", std::logic_error("a")));
  CHECK(arrives_as_itself("std::domain_error", std::domain_error("b")));
  CHECK(arrives_as_itself("std::invalid_argument", std::invalid_argument("c")));
  CHECK(arrives_as_itself("std::length_error", std::length_error("d")));
  CHECK(arrives_as_itself("std::out_of_range", std::out_of_range("e")));
  CHECK(arrives_as_itself("std::runtime_error", std::runtime_error("f")));
  CHECK(arrives_as_itself("std::range_error", std::range_error("g")));
  CHECK(arrives_as_itself("std::overflow_error", std::overflow_error("h")));
  CHECK(arrives_as_itself("std::underflow_error", std::underflow_error("")));
  CHECK(arrives_as_itself("std::exception", std::exception()));
  CHECK(arrives_as_itself("std::bad_exception", std::bad_exception()));
  CHECK(arrives_as_itself("std::bad_alloc", std::bad_alloc()));
  CHECK(arrives_as_itself("std::bad_array_new_length", std::bad_array_new_length()));
  CHECK(arrives_as_itself("std::bad_cast", std::bad_cast()));
  CHECK(arrives_as_itself("std::bad_typeid", std::bad_typeid()));
  CHECK(arrives_as_itself("std::bad_any_cast", std::bad_any_cast()));
  CHECK(arrives_as_itself("std::bad_optional_access", std::bad_optional_access()));
  CHECK(arrives_as_itself("std::bad_variant_access", std::bad_variant_access()));
  CHECK(arrives_as_itself("std::bad_function_call", std::bad_function_call()));
  CHECK(arrives_as_itself("std::bad_weak_ptr", std::bad_weak_ptr()));
}

TEST_CASE("procpool's own errors keep their type") {
  CHECK(arrives_as_itself("procpool::Error", Error("a")));
  CHECK(arrives_as_itself("procpool::UsageError", UsageError("b")));
  CHECK(arrives_as_itself("procpool::BrokenPool", BrokenPool("c")));
  CHECK(arrives_as_itself("procpool::PoolClosed", PoolClosed("d")));
  CHECK(arrives_as_itself("procpool::Cancelled", Cancelled("e")));
  CHECK(arrives_as_itself("procpool::SerializationError", SerializationError("f")));
  CHECK(arrives_as_itself("procpool::SharedMemoryExhausted", SharedMemoryExhausted("g")));
  CHECK(arrives_as_itself("procpool::OwnerDied", OwnerDied("h")));
}

TEST_CASE("one handler for std::exception catches them all") {
  for (const auto& thrown : {sent(std::out_of_range("x")), sent(std::bad_alloc()), sent(UsageError("x")), sent(3)}) {
    CHECK_THROWS_AS(std::rethrow_exception(thrown), std::exception);
    CHECK_THROWS_AS(std::rethrow_exception(thrown), RemoteOrigin);
  }
}

TEST_CASE("a system_error keeps its code in the known categories") {
  const std::system_error thrown(ENOENT, std::generic_category(), "opening the file");
  CHECK(arrives_as_itself("std::system_error", thrown));
  CHECK(code_of_arrived(sent(thrown)) == std::errc::no_such_file_or_directory);
  CHECK(code_of_arrived(sent(std::system_error(EACCES, std::system_category()))) ==
        std::error_code(EACCES, std::system_category()));
  const std::ios_base::failure failure("reading");
  CHECK(arrives_as_itself("std::ios_base::failure[abi:cxx11]", failure));
  CHECK(code_of_arrived(sent(failure)) == std::io_errc::stream);
  const std::ios_base::failure disk_full("writing", std::make_error_code(std::errc::no_space_on_device));
  CHECK(code_of_arrived(sent(disk_full)) == std::errc::no_space_on_device);
}

TEST_CASE("a code of a library's category keeps its value and the message") {
  static const LibraryCategory library;
  const std::system_error thrown(5, library, "connecting");
  CHECK(arrives_as_itself("std::system_error", thrown));
  const std::error_code code = code_of_arrived(sent(thrown));
  CHECK(code.value() == 5);
  CHECK(code.category().name() == std::string("foreign"));
  CHECK(code.message() == "error 5 of a category that does not cross processes");
}

TEST_CASE("a WorkerDied keeps its report") {
  const WorkerDied thrown({.pid = 99,
                           .signal = SIGSEGV,
                           .label = "inner",
                           .position = 3,
                           .fault_address = nullptr,
                           .stack = procpool::CrashStack(procpool::CrashStack::Lines{"f (lib+0x1)", "", "g"}),
                           .ran_for = std::chrono::nanoseconds(4),
                           .peak_memory = 5,
                           .cpu_time = std::chrono::nanoseconds(6),
                           .out_of_memory = true,
                           .attempt = 7});
  try {
    std::rethrow_exception(sent(thrown));
  } catch (const WorkerDied& death) {
    CHECK(death.pid() == 99);
    CHECK(death.signal() == SIGSEGV);
    CHECK(death.exit_status() == -1);
    CHECK(death.label() == "inner");
    CHECK(death.position() == 3U);
    CHECK(death.has_fault_address());
    CHECK(death.fault_address() == nullptr);
    CHECK(death.stack() == thrown.stack());
    CHECK(death.ran_for().count() == 4);
    CHECK(death.peak_memory() == 5);
    CHECK(death.cpu_time().count() == 6);
    CHECK(death.out_of_memory());
    CHECK(death.attempt() == 7);
    CHECK(std::string(death.what()) == thrown.what());
  }
}

TEST_CASE("a type that nobody registered arrives as its nearest standard base and says its name") {
  CHECK(message_as<std::runtime_error>(sent(ParseError("line 3")), "(anonymous namespace)::ParseError") == "line 3");
  CHECK(message_as<std::exception>(sent(Silent()), "(anonymous namespace)::Silent").empty());
}

TEST_CASE("what is no std::exception arrives as RemoteError") {
  CHECK(message_as<RemoteError>(sent(3), "int") == "a task threw a value of type int, which is no std::exception");
  CHECK(message_as<RemoteError>(sent(Unusual()), "(anonymous namespace)::Unusual").find("Unusual") !=
        std::string::npos);
  CHECK(message_as<RemoteError>(sent(static_cast<const char*>("a text")), "char const*") == "a text");
  CHECK(name_of_remote(sent(std::string("a text"))).starts_with("std::__cxx11::basic_string"));
  CHECK_THROWS_WITH(std::rethrow_exception(sent(std::string("a text"))), "a text");
  CHECK_THROWS_AS(std::rethrow_exception(sent(std::exception_ptr())), RemoteError);
}

TEST_CASE("an exception that crosses twice keeps the name that it first had") {
  CHECK(name_of_remote(sent(sent(ParseError("x")))) == "(anonymous namespace)::ParseError");
  CHECK(message_as<std::out_of_range>(sent(sent(std::out_of_range("x"))), "std::out_of_range") == "x");
  CHECK(message_as<RemoteError>(sent(sent(3)), "int").find("of type int") != std::string::npos);
}

TEST_CASE("an arrived exception can be copied and outlives what it came in") {
  std::string kept;
  try {
    std::rethrow_exception(sent(std::out_of_range(std::string(1000, 'x'))));
  } catch (const std::out_of_range& exception) {
    const std::out_of_range sliced(exception);  // NOLINT(performance-unnecessary-copy-initialization): the point
    kept = sliced.what();
  }
  CHECK(kept == std::string(1000, 'x'));
}

TEST_CASE("an exception is told of without memory too, shortened") {
  EncodedException encoded;
  const std::string long_text(10'000, 'x');
  const std::out_of_range thrown(long_text);
  encoded.assign_shortened(facts_of(thrown), "Name", long_text);
  CHECK(encoded.bytes().size() <= 512);
  const std::exception_ptr arrived = decode_exception(encoded.bytes(), sender, "score");
  const std::string text = message_as<std::out_of_range>(arrived, "Name");
  CHECK(text.size() > 100);
  CHECK(long_text.starts_with(text));
}

TEST_CASE("cut off or damaged bytes are a SerializationError that names process and task, or some exception") {
  const EncodedException encoded =
      encode_exception(std::make_exception_ptr(WorkerDied({.label = "abc", .position = 1})));
  const std::vector<std::byte> whole(encoded.bytes().begin(), encoded.bytes().end());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_THROWS_WITH(std::rethrow_exception(decode_exception(part, sender, "score")),
                      Catch::Matchers::ContainsSubstring("process 4711 reported that its task \"score\" threw"));
  }
  std::vector<std::byte> longer = whole;
  longer.push_back(std::byte{0});
  CHECK_THROWS_AS(std::rethrow_exception(decode_exception(longer, sender, "score")), SerializationError);
  std::minstd_rand random(1);
  for (int turn = 0; turn < 2000; ++turn) {
    std::vector<std::byte> damaged = whole;
    for (int change = 0; change < 4; ++change) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    const std::exception_ptr arrived = decode_exception(damaged, sender, "");
    REQUIRE(arrived != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(arrived), std::exception);
  }
}
