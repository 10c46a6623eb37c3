// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The members of a plain struct, one after another.

#include <cstddef>
#include <type_traits>
#include <utility>

#include <procpool/serial/member_count.hpp>
#include <procpool/serial/signature.hpp>

namespace procpool::detail {

/// What visit_members returns when the struct has a bit-field and `visit` would bind a reference to it.
struct HasBitField {};

/// Calls `visit` with all members of `value`, in order. A structured binding must write its names out, hence one piece
/// for each number of members.
template <class T, class Visit>
constexpr decltype(auto) visit_members(T& value, Visit&& visit) {
  constexpr std::size_t count = member_count<std::remove_const_t<T>>();
  static_assert(count <= most_members);
  // clang-format off
  if constexpr (count == 0) {
    return visit();
  } else if constexpr (count == 1) {
    auto& [a] = value;
    if constexpr (requires { visit(a); }) return visit(a);
    else return HasBitField{};
  } else if constexpr (count == 2) {
    auto& [a, b] = value;
    if constexpr (requires { visit(a, b); }) return visit(a, b);
    else return HasBitField{};
  } else if constexpr (count == 3) {
    auto& [a, b, c] = value;
    if constexpr (requires { visit(a, b, c); }) return visit(a, b, c);
    else return HasBitField{};
  } else if constexpr (count == 4) {
    auto& [a, b, c, d] = value;
    if constexpr (requires { visit(a, b, c, d); }) return visit(a, b, c, d);
    else return HasBitField{};
  } else if constexpr (count == 5) {
    auto& [a, b, c, d, e] = value;
    if constexpr (requires { visit(a, b, c, d, e); }) return visit(a, b, c, d, e);
    else return HasBitField{};
  } else if constexpr (count == 6) {
    auto& [a, b, c, d, e, f] = value;
    if constexpr (requires { visit(a, b, c, d, e, f); }) return visit(a, b, c, d, e, f);
    else return HasBitField{};
  } else if constexpr (count == 7) {
    auto& [a, b, c, d, e, f, g] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g); }) return visit(a, b, c, d, e, f, g);
    else return HasBitField{};
  } else if constexpr (count == 8) {
    auto& [a, b, c, d, e, f, g, h] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h); }) return visit(a, b, c, d, e, f, g, h);
    else return HasBitField{};
  } else if constexpr (count == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i); }) return visit(a, b, c, d, e, f, g, h, i);
    else return HasBitField{};
  } else if constexpr (count == 10) {
    auto& [a, b, c, d, e, f, g, h, i, j] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j); }) return visit(a, b, c, d, e, f, g, h, i, j);
    else return HasBitField{};
  } else if constexpr (count == 11) {
    auto& [a, b, c, d, e, f, g, h, i, j, k] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k); }) return visit(a, b, c, d, e, f, g, h, i, j, k);
    else return HasBitField{};
  } else if constexpr (count == 12) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l); }) return visit(a, b, c, d, e, f, g, h, i, j, k,
        l);
    else return HasBitField{};
  } else if constexpr (count == 13) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m); }) return visit(a, b, c, d, e, f, g, h, i, j,
        k, l, m);
    else return HasBitField{};
  } else if constexpr (count == 14) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n); }) return visit(a, b, c, d, e, f, g, h, i,
        j, k, l, m, n);
    else return HasBitField{};
  } else if constexpr (count == 15) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o); }) return visit(a, b, c, d, e, f, g, h,
        i, j, k, l, m, n, o);
    else return HasBitField{};
  } else if constexpr (count == 16) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p); }) return visit(a, b, c, d, e, f, g,
        h, i, j, k, l, m, n, o, p);
    else return HasBitField{};
  } else if constexpr (count == 17) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q); }) return visit(a, b, c, d, e, f,
        g, h, i, j, k, l, m, n, o, p, q);
    else return HasBitField{};
  } else if constexpr (count == 18) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r); }) return visit(a, b, c, d, e,
        f, g, h, i, j, k, l, m, n, o, p, q, r);
    else return HasBitField{};
  } else if constexpr (count == 19) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s); }) return visit(a, b, c, d,
        e, f, g, h, i, j, k, l, m, n, o, p, q, r, s);
    else return HasBitField{};
  } else if constexpr (count == 20) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t); }) return visit(a, b, c,
        d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t);
    else return HasBitField{};
  } else if constexpr (count == 21) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u); }) return visit(a, b,
        c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u);
    else return HasBitField{};
  } else if constexpr (count == 22) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v); }) return visit(a,
        b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v);
    else return HasBitField{};
  } else if constexpr (count == 23) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w);
        }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w);
    else return HasBitField{};
  } else if constexpr (count == 24) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x);
        }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x);
    else return HasBitField{};
  } else if constexpr (count == 25) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y);
        }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y);
    else return HasBitField{};
  } else if constexpr (count == 26) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z);
        }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z);
    else return HasBitField{};
  } else if constexpr (count == 27) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A);
        }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A);
    else return HasBitField{};
  } else if constexpr (count == 28) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B);
        }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B);
    else return HasBitField{};
  } else if constexpr (count == 29) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C);
    else return HasBitField{};
  } else if constexpr (count == 30) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C,
        D);
    else return HasBitField{};
  } else if constexpr (count == 31) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C,
        D, E);
    else return HasBitField{};
  } else if constexpr (count == 32) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F);
    else return HasBitField{};
  } else if constexpr (count == 33) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A,
        B, C, D, E, F, G);
    else return HasBitField{};
  } else if constexpr (count == 34) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H] =
        value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G, H); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z,
        A, B, C, D, E, F, G, H);
    else return HasBitField{};
  } else if constexpr (count == 35) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I] =
        value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G, H, I); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y,
        z, A, B, C, D, E, F, G, H, I);
    else return HasBitField{};
  } else if constexpr (count == 36) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J] =
        value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G, H, I, J); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x,
        y, z, A, B, C, D, E, F, G, H, I, J);
    else return HasBitField{};
  } else if constexpr (count == 37) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J,
        K] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G, H, I, J, K); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w,
        x, y, z, A, B, C, D, E, F, G, H, I, J, K);
    else return HasBitField{};
  } else if constexpr (count == 38) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J,
        K, L] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G, H, I, J, K, L); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v,
        w, x, y, z, A, B, C, D, E, F, G, H, I, J, K, L);
    else return HasBitField{};
  } else if constexpr (count == 39) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J,
        K, L, M] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G, H, I, J, K, L, M); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u,
        v, w, x, y, z, A, B, C, D, E, F, G, H, I, J, K, L, M);
    else return HasBitField{};
  } else if constexpr (count == 40) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J,
        K, L, M, N] = value;
    if constexpr (requires { visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, A, B,
        C, D, E, F, G, H, I, J, K, L, M, N); }) return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t,
        u, v, w, x, y, z, A, B, C, D, E, F, G, H, I, J, K, L, M, N);
    else return HasBitField{};
  }
  // clang-format on
}

struct ListMembers {
  // By reference to const, to which even a bit-field can be bound.
  template <class... Members>
  constexpr TypeList<Members...> operator()(const Members&...) const {
    return {};
  }
};

/// The types of the members of `T`, as a TypeList.
template <class T>
using members_of = decltype(visit_members(std::declval<T&>(), ListMembers{}));

struct AskWhetherMutable {
  template <class... Members>
  constexpr std::bool_constant<(!std::is_const_v<Members> && ...)> operator()(Members&...) const {
    return {};
  }
};

template <class T>
using mutability_of = decltype(visit_members(std::declval<T&>(), AskWhetherMutable{}));

template <class T>
inline constexpr bool has_bit_field = std::is_same_v<mutability_of<T>, HasBitField>;

template <class T>
inline constexpr bool has_const_member = std::is_same_v<mutability_of<T>, std::false_type>;

}  // namespace procpool::detail
