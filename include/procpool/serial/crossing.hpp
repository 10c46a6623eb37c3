// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Which types may cross to a worker and back, and what a user is told about those that may not.

#include <type_traits>

#include <procpool/serial/inspection.hpp>
#include <procpool/serial/sent.hpp>

namespace procpool {

/// `T` may be an argument of a task.
template <class T>
concept Crosses = decltype(detail::inspect_argument<detail::sent_t<T>>())::obstacle == detail::Obstacle::none;

/// A task may return `T`: void, or a value that owns what it holds.
template <class T>
concept CrossesBack = decltype(detail::inspect_result<std::remove_cvref_t<T>>())::obstacle == detail::Obstacle::none;

}  // namespace procpool

namespace procpool::detail {

// Not a plain comparison, which Clang would explain in three more lines.
template <class Found, Obstacle Kind>
inline constexpr bool is_free_of = Found::obstacle != Kind;

/// Does not compile unless `T`, as given to a task, may cross. The first error says what is wrong and what to do; with
/// it the compiler prints `T` and, in `Found`, the type inside it that is the reason.
template <class T, class Found = decltype(inspect_argument<sent_t<T>>())>
consteval void require_crossing_argument() {
  static_assert(is_free_of<Found, Obstacle::pointer>,
                "procpool: this type is or holds a pointer, which means nothing in another process. Send what it "
                "points to: a value, std::vector, std::string or std::unique_ptr (text may be a const char*), or "
                "give the type a `serialize`");
  static_assert(is_free_of<Found, Obstacle::function>,
                "procpool: this type is or holds a function, which is no data. Let the task itself call it, bind "
                "arguments to the task with procpool::partial, or send a function object such as std::plus<>{}");
  static_assert(is_free_of<Found, Obstacle::closure>,
                "procpool: this type is or holds a lambda, which is no data: what it captured by reference would "
                "dangle. Let the task itself call it, bind values to the task with procpool::partial, or write it "
                "as a struct with an operator()");
  static_assert(is_free_of<Found, Obstacle::member_pointer>,
                "procpool: this type is or holds a pointer to a member, which can be the task itself but is no "
                "data. Send the member's value, or let the task name the member");
  static_assert(is_free_of<Found, Obstacle::iterator>,
                "procpool: this type is or holds an iterator, which points into a container of this process. Send "
                "the container, a std::span of it, or the element");
  static_assert(is_free_of<Found, Obstacle::reference_wrapper>,
                "procpool: std::ref and std::cref refer to an object of this process, which a task cannot reach. "
                "Send the value and return what the task changed");
  static_assert(is_free_of<Found, Obstacle::view_of_objects>,
                "procpool: this view cannot be read in place, because its elements are not plain bytes (or are "
                "aligned to more than 64). Send a std::vector of them");
  static_assert(is_free_of<Found, Obstacle::held_view>,
                "procpool: this type is or holds a view of memory of this process. Only an argument itself may be a "
                "std::string_view or a std::span: hold a std::string or a std::vector instead");
  static_assert(is_free_of<Found, Obstacle::returned_view>,
                "procpool: a task cannot return text by pointer or a view, whose memory ends with the task. Return "
                "a std::string or a std::vector");
  static_assert(is_free_of<Found, Obstacle::array_of_objects>,
                "procpool: a C array can only be sent if its elements are plain bytes (and aligned to at most 64). "
                "Send a std::array or a std::vector");
  static_assert(is_free_of<Found, Obstacle::returned_array>,
                "procpool: a task cannot return a C array. Return a std::array or a std::vector");
  static_assert(is_free_of<Found, Obstacle::hidden_state>,
                "procpool: this container or smart pointer has a comparator, hash or deleter with state of its own, "
                "which would not be sent. Use one without state (a struct with an operator()), or send a "
                "std::vector of the elements");
  static_assert(is_free_of<Found, Obstacle::polymorphic>,
                "procpool: this smart pointer may own an object of any derived class. Include "
                "<cereal/types/polymorphic.hpp>, give the classes a `serialize` and register each with "
                "CEREAL_REGISTER_TYPE, or send a std::variant");
  static_assert(is_free_of<Found, Obstacle::half_serializable>,
                "procpool: this type can be written but not read, or the reverse. Give it a `serialize`, or both "
                "`save` and `load`");
  static_assert(is_free_of<Found, Obstacle::no_default>,
                "procpool: this type has no public default constructor, which is needed to make the object that is "
                "then read. Give it one, or send it in a std::unique_ptr with `load_and_construct` and "
                "<cereal/types/memory.hpp>");
  static_assert(is_free_of<Found, Obstacle::base_class>,
                "procpool: this struct has a base class, so its members cannot be listed. Make the base a member, "
                "give the struct a `serialize`, or, if its bytes mean the same everywhere, specialize "
                "procpool::is_plain_data to true");
  static_assert(is_free_of<Found, Obstacle::too_many_members>,
                "procpool: this struct has more than 40 members. Group them in structs, give it a `serialize`, or, "
                "if its bytes mean the same everywhere, specialize procpool::is_plain_data to true");
  static_assert(is_free_of<Found, Obstacle::opaque>,
                "procpool: this type is a union, or a struct with a reference or a member without a default value, "
                "and cannot be looked into. Hold values, give it a `serialize`, or, if its bytes mean the same "
                "everywhere, specialize procpool::is_plain_data to true");
  static_assert(is_free_of<Found, Obstacle::bit_field>,
                "procpool: this struct has bit-fields beside members that are not plain bytes. Give it a "
                "`serialize`");
  static_assert(is_free_of<Found, Obstacle::const_member>,
                "procpool: this struct has a const member, which cannot be read back. Make it non-const, or give "
                "the struct a `serialize`");
  static_assert(is_free_of<Found, Obstacle::closed_class>,
                "procpool: this class has private members, which may be pointers, and those mean nothing in another "
                "process. Give it a `serialize`, or, if its bytes mean the same everywhere, specialize "
                "procpool::is_plain_data to true");
  static_assert(is_free_of<Found, Obstacle::unknown>,
                "procpool: nothing is known of how to send this type. Give it a `serialize` member or function, "
                "make it a struct of public members, include cereal's header for it (<cereal/types/...>), or send "
                "its parts");
}

/// Does not compile unless a task may return `T`.
template <class T>
consteval void require_crossing_result() {
  require_crossing_argument<T, decltype(inspect_result<std::remove_cvref_t<T>>())>();
}

/// Does not compile unless `T` may be written to an archive, as by a `serialize` of the user's.
template <class T>
consteval void require_crossing_part() {
  require_crossing_argument<T, decltype(inspect<T>())>();
}

}  // namespace procpool::detail
