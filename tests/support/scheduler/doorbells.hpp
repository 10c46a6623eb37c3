// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The descriptors by which a pool's supervisor and its zygote wake each other, in a run of one pool: bells, of which
/// only that they were rung is known.

namespace model {

class Doorbells {
 public:
  static void forget_all();

  // The zygote's side of the socket.

  /// Sleeps until the supervisor, or ring_zygote(), has rung since the last call.
  static void wait_for_a_ring();
  /// A child of the zygote's has died.
  static void ring_zygote();
  static void ring_supervisor();
  /// The zygote has ended.
  static void hang_up();
};

}  // namespace model
