// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Exception types of the user's that arrive from a worker as themselves.

#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <procpool/serial/archive.hpp>
#include <procpool/serial/exception_transport.hpp>

namespace procpool {

/// Lets a `T` that a task throws arrive as a `T`, with RemoteOrigin mixed in unless `T` is final. Without it, the
/// nearest standard base of `T` arrives. To be called before the pool is made, because the workers know what was
/// registered by then; calling it again does nothing. A `T` that could be an argument (it has a `serialize`, say) is
/// sent as one; any other is made anew from its what(). Where that fails, the nearest standard base arrives after all.
template <class T>
void register_exception();

}  // namespace procpool

namespace procpool::detail {

/// What is thrown here in place of a registered `T` that was thrown there.
template <class T, bool IsStandard = std::is_base_of_v<std::exception, T>>
class RebuiltRegistered final : public T, public RemoteOrigin {
 public:
  RebuiltRegistered(T&& value, const RebuildSource& source) : T(std::move(value)), RemoteOrigin(source) {}
};
template <class T>
class RebuiltRegistered<T, true> final : public T, public RemoteOrigin {
 public:
  RebuiltRegistered(T&& value, const RebuildSource& source) : T(std::move(value)), RemoteOrigin(source) {}

  /// The message of the original, whatever `T` would make of its parts.
  [[nodiscard]] const char* what() const noexcept override { return this->message().c_str(); }
};

/// Throws `value`, and returns what was thrown; passes on what its copy constructor throws.
template <class T>
[[nodiscard, gnu::cold]] std::exception_ptr throw_registered(T value, const RebuildSource& source) {
  using Thrown = typename std::conditional_t<std::is_final_v<T>, std::type_identity<T>,
                                             std::type_identity<RebuiltRegistered<T>>>::type;
  try {
    if constexpr (std::is_final_v<T>) {
      throw std::move(value);
    } else {
      throw Thrown(std::move(value), source);
    }
  } catch (const Thrown&) {
    return std::current_exception();
  }
}

template <class T>
inline constexpr bool crosses_by_its_message =
    !has_serialize_functions<T> && std::is_base_of_v<std::exception, T> &&
    std::is_constructible_v<T, const std::string&> && decltype(inspect<T>())::obstacle != Obstacle::none;

template <class T>
[[gnu::cold]] bool encode_current_as(ByteBuffer& payload) {
  try {
    throw;
  } catch (const T& exception) {
    if constexpr (!crosses_by_its_message<T>) {
      OutputArchive archive(payload, 0);
      archive(exception);
      archive.finish();
    }
    return true;
  } catch (...) {
    return false;
  }
}

template <class T>
[[nodiscard, gnu::cold]] std::exception_ptr rebuild_as(const ReceivedException& received, const RebuildSource& source) {
  try {
    if constexpr (crosses_by_its_message<T>) {
      return throw_registered(T(source.message()), source);
    } else {
      InputArchive archive(received.payload, 0, received.kept);
      return throw_registered(load_as<T>(archive), source);
    }
  } catch (...) {
    return nullptr;  // The nearest standard base arrives instead.
  }
}

template <class T>
inline constexpr bool is_registrable = crosses_by_its_message<T> || decltype(inspect<T>())::obstacle == Obstacle::none;

}  // namespace procpool::detail

namespace procpool {

template <class T>
void register_exception() {
  static_assert(std::is_class_v<T> && !std::is_const_v<T> && std::is_move_constructible_v<T>,
                "procpool: only a class that can be moved or copied can be registered as an exception");
  static_assert(detail::is_registrable<T>,
                "procpool: this exception cannot be sent. Give it a constructor from std::string, for its what(), or a "
                "`serialize` and a default constructor");
  if constexpr (detail::is_registrable<T>) {
    static detail::ExceptionRegistration registration{&typeid(T), &detail::encode_current_as<T>,
                                                      &detail::rebuild_as<T>};
    [[maybe_unused]] static const bool published = (detail::publish(registration), true);
  }
}

}  // namespace procpool
