// SPDX-License-Identifier: BSL-1.0

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <procpool/serial/register_exception.hpp>

#include "../../support/catch.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

class ParseError : public std::runtime_error {
 public:
  explicit ParseError(const std::string& text) : std::runtime_error("parse error: " + text) {}
};

class HttpError : public std::exception {
 public:
  HttpError() = default;
  explicit HttpError(int status) : status_(status) {}
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const char* what() const noexcept override { return status_ == 404 ? "not found" : "failed"; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(status_);
  }

 private:
  int status_ = 0;
};

class TlsError : public HttpError {
 public:
  using HttpError::HttpError;
};

struct Failure {
  int code = 0;
  std::vector<std::string> reasons;
};

class FinalError final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Unwritable : public std::out_of_range {
 public:
  Unwritable() : std::out_of_range("unwritable") {}
  template <class Archive>
  void save(Archive&) const {
    throw std::logic_error("cannot be written");
  }
  template <class Archive>
  void load(Archive&) {}
};

class Unreadable : public std::out_of_range {
 public:
  Unreadable() : std::out_of_range("unreadable") {}
  template <class Archive>
  void save(Archive&) const {}
  template <class Archive>
  void load(Archive&) {
    throw std::logic_error("cannot be read");
  }
};

class Uncopyable : public std::length_error {
 public:
  explicit Uncopyable(const std::string& text) : std::length_error(text) {}
  Uncopyable(const Uncopyable& other) : std::length_error(other) { throw std::logic_error("cannot be copied"); }
};

class NeverRegistered : public TlsError {
 public:
  using TlsError::TlsError;
};

std::exception_ptr sent(const std::exception_ptr& thrown) {
  const EncodedException encoded = encode_exception(thrown);
  return decode_exception(encoded.bytes(), 12, "fetch");
}

template <class T>
void send_and_throw(T exception) {
  std::rethrow_exception(sent(std::make_exception_ptr(exception)));
}

const bool registered = [] {
  register_exception<HttpError>();
  register_exception<ParseError>();
  register_exception<ParseError>();
  register_exception<Failure>();
  register_exception<FinalError>();
  register_exception<Unwritable>();
  register_exception<Unreadable>();
  register_exception<Uncopyable>();
  return true;
}();

}  // namespace

TEST_CASE("a registered exception with a serialize arrives with its members and its origin") {
  REQUIRE(registered);
  try {
    send_and_throw(HttpError(404));
  } catch (const HttpError& error) {
    CHECK(error.status() == 404);
    CHECK(std::string(error.what()) == "not found");
    const auto& origin = dynamic_cast<const RemoteOrigin&>(error);
    CHECK(origin.type_name() == "(anonymous namespace)::HttpError");
    CHECK(origin.pid() == 12);
    CHECK(origin.label() == "fetch");
  }
  CHECK_THROWS_AS(send_and_throw(HttpError(404)), HttpError);
}

TEST_CASE("a registered exception that is made of a text keeps its message as it was") {
  CHECK_THROWS_AS(send_and_throw(ParseError("line 3")), ParseError);
  CHECK_THROWS_WITH(send_and_throw(ParseError("line 3")), "parse error: line 3");
}

TEST_CASE("a registered struct that is no std::exception arrives as itself") {
  try {
    send_and_throw(Failure{.code = 7, .reasons = {"a", "b"}});
  } catch (const Failure& failure) {
    CHECK(failure.code == 7);
    CHECK(failure.reasons == std::vector<std::string>{"a", "b"});
  }
  CHECK_THROWS_AS(send_and_throw(Failure{}), RemoteOrigin);
}

TEST_CASE("a final exception arrives as itself, without an origin") {
  CHECK_THROWS_AS(send_and_throw(FinalError("x")), FinalError);
}

TEST_CASE("what derives from a registered exception arrives as that, until it is registered itself") {
  CHECK_THROWS_AS(send_and_throw(TlsError(3)), HttpError);
  register_exception<TlsError>();
  CHECK_THROWS_AS(send_and_throw(TlsError(3)), TlsError);
  CHECK_THROWS_AS(send_and_throw(NeverRegistered(3)), TlsError);
  try {
    send_and_throw(HttpError(1));
  } catch (const TlsError&) {
    FAIL("a base arrived as what derives from it");
  } catch (const HttpError& error) {
    CHECK(error.status() == 1);
  }
}

TEST_CASE("where a registered exception's own code throws, its nearest standard base arrives") {
  CHECK_THROWS_WITH(send_and_throw(Unreadable()), "unreadable");
  CHECK_THROWS_AS(send_and_throw(Unreadable()), std::out_of_range);
  CHECK_THROWS_WITH(send_and_throw(Unwritable()), "unwritable");
  CHECK_THROWS_AS(send_and_throw(Unwritable()), std::out_of_range);
  try {
    send_and_throw(Unwritable());
  } catch (const RemoteOrigin& origin) {
    CHECK(origin.type_name() == "(anonymous namespace)::Unwritable");
  }
  std::exception_ptr thrown;
  try {
    throw Uncopyable("made in place");
  } catch (...) {
    thrown = std::current_exception();
  }
  CHECK_THROWS_AS(std::rethrow_exception(sent(thrown)), std::length_error);
  CHECK_THROWS_WITH(std::rethrow_exception(sent(thrown)), "made in place");
}

TEST_CASE("a registration that only the worker has is not followed") {
  ExceptionRegistration unknown{&typeid(ParseError), nullptr, nullptr};
  ExceptionReport report;
  report.facts = facts_of(ParseError("x"));
  report.facts.registration = &unknown;
  report.what = "x";
  EncodedException encoded;
  encoded.assign(report);
  CHECK_THROWS_AS(std::rethrow_exception(decode_exception(encoded.bytes(), 12, "fetch")), std::runtime_error);
}

TEST_CASE("a damaged payload of a registered exception gives its standard base") {
  ExceptionReport report;
  const HttpError error(404);
  report.facts = facts_of(error);
  report.what = "not found";
  for (const auto* entry = exception_registrations.load(); entry != nullptr; entry = entry->next) {
    if (*entry->type == typeid(HttpError)) report.facts.registration = entry;
  }
  REQUIRE(report.facts.registration != nullptr);
  EncodedException encoded;
  encoded.assign(report);
  const std::exception_ptr arrived = decode_exception(encoded.bytes(), 12, "fetch");
  CHECK_THROWS_WITH(std::rethrow_exception(arrived), "not found");
}
