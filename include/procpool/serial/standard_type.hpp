// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The place where each type of the standard library says how it is sent.

#include <cstddef>
#include <type_traits>

#include <cereal/cereal.hpp>

#include <procpool/serial/input_archive.hpp>
#include <procpool/serial/output_archive.hpp>
#include <procpool/serial/signature.hpp>

namespace procpool::detail {

/// One specialization for each type that the archives know by themselves, derived from StandardParts, with
/// `save(OutputArchive&, const T&)` and `load(InputArchive&, T&)`. cereal has functions for most of these types too;
/// they trust the lengths that they read and need one more header each, so they serve only types that are not here.
template <class T>
struct Standard {
  static constexpr bool is_known = false;
};

/// `Parts` are the types that `T` is made of and that must be able to cross for it to cross.
template <class... Parts>
struct StandardParts {
  static constexpr bool is_known = true;
  static constexpr bool has_hidden_state = false;  // a comparator, hash or deleter that would not be sent
  using parts = TypeList<Parts...>;
};

/// True for values that cross as a copy of their bytes; defined in flat.hpp.
template <class T>
consteval bool is_flat();

/// A `T` from its bytes, which need not be aligned; defined in flat.hpp. Throws SerializationError if it holds a bool
/// that is neither true nor false.
template <class T>
[[nodiscard]] T load_flat(const std::byte* bytes);

/// Throws SerializationError if one of `count` flat values, whose bytes came from elsewhere, holds a bool that is
/// neither true nor false; defined in flat.hpp.
template <class T>
void require_valid_bools(const T* first, std::size_t count);

/// The next value of `archive`, even of a flat type that has no default constructor; defined in archive.hpp.
template <class T>
[[nodiscard]] T load_as(InputArchive& archive);

template <class T>
inline constexpr bool has_output_functions = cereal::traits::is_output_serializable<T, OutputArchive>::value;
template <class T>
inline constexpr bool has_input_functions = cereal::traits::is_input_serializable<T, InputArchive>::value;

/// True if cereal finds functions for `T`: a `serialize`, `save` or `load` of the user's, or those of a header of
/// cereal's.
template <class T>
inline constexpr bool has_serialize_functions =
    std::is_class_v<T> && (has_output_functions<T> || has_input_functions<T>);

}  // namespace procpool::detail
