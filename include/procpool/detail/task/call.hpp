// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// One call as a task: how its callable and arguments are sent, and how a worker runs it.

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <procpool/detail/task/call_shape.hpp>
#include <procpool/detail/task/flat_layout.hpp>
#include <procpool/detail/task/guarded.hpp>
#include <procpool/detail/task/scratch_encoding.hpp>
#include <procpool/detail/task/terms.hpp>

namespace procpool::detail {

/// A task on its way into a slot.
struct OutgoingTask {
  TaskRecord record;
  std::unique_ptr<TaskNote> note;  // null: the slot holds it all
  bool has_room = true;            // false: there was no block for what does not fit into the slot

  TaskNote& make_note() {
    if (!note) note = std::make_unique<TaskNote>();
    return *note;
  }
};

template <class F, class State, class... Sent>
class Call {
  using Shape = CallShape<F, State, Sent...>;
  using Result = call_result_t<F, State, Sent...>;

 public:
  /// Encodes; runs code of the user's. `allocate(note, bytes)` provides a SharedBlock, or an empty one.
  template <class Allocate, class... Args>
  [[nodiscard]] static OutgoingTask send(const GivenTerms& terms, const Allocate& allocate, const F& function,
                                         Args&&... args) {
    OutgoingTask task;
    task.record.run = run;
    if (fits_slot && terms.are_default()) write_flat(task.record, function, args...);
    else send_on_terms(task, terms, allocate, function, std::forward<Args>(args)...);
    return task;
  }

  /// What the worker calls.
  static void run(TaskContext& context) {
    run_guarded([&context] { try_often(context.worker, [&context] { call(context); }); },
                [&context](const std::exception_ptr& thrown) { write_exception(context, thrown); });
  }

 private:
  /// Whatever is not the common case.
  template <class Allocate, class... Args>
  static void send_on_terms(OutgoingTask& task, const GivenTerms& terms, const Allocate& allocate, const F& function,
                            Args&&... args) {
    terms.supervise([&task]() -> TaskNote& { return task.make_note(); });
    if (fits_slot && terms.are_default_there()) return write_flat(task.record, function, args...);
    ScratchEncoding encoding;
    encode_callable(*encoding, function);
    (add_argument(*encoding, std::forward<Args>(args)), ...);
    put_in_block(task, terms, *encoding, allocate);
  }

  static void call(TaskContext& context) {
    if (fits_slot && !context.record().has(TaskRecord::has_block)) {
      call_flat(context, std::index_sequence_for<Sent...>{});
    } else {
      Decoder decoder(context.arguments());
      decltype(auto) function = decode_callable<F>(decoder);
      finish(context, function, Shape::receive(decoder));
    }
  }

  // A captureless callable has no bytes that need to travel.
  using Layout = std::conditional_t<callable_is_stateless<F>, FlatLayout<Sent...>, FlatLayout<F, Sent...>>;

  static constexpr bool fits_slot = [] {
    constexpr bool is_flat =
        (callable_is_stateless<F> || callable_is_flat<F>)&&((is_flat_value<Sent> && !std::is_array_v<Sent>)&&...);
    if constexpr (is_flat) return Layout::size <= TaskRecord::inline_capacity;
    else return false;
  }();

  template <class... Args>
  static void write_flat(TaskRecord& record, const F& function, const Args&... args) {
    if constexpr (fits_slot) {
      if constexpr (callable_is_stateless<F>) Layout::write(record.arguments, args...);
      else Layout::write(record.arguments, function, args...);
      record.size = Layout::size;
    }
  }

  template <class T>
  static void add_argument(Encoding& encoding, T&& value) {
    if constexpr (std::is_rvalue_reference_v<T&&> && !std::is_copy_constructible_v<std::remove_cvref_t<T>>) {
      encoding.add_owned(std::move(value));
    } else {
      encoding.add(value);
    }
  }

  template <class Allocate>
  static void put_in_block(OutgoingTask& task, const GivenTerms& terms, const Encoding& encoding,
                           const Allocate& allocate) {
    const std::size_t terms_size = terms.are_default_there() ? 0 : Terms::size_for(terms.label);
    TaskNote& note = task.make_note();
    note.label = terms.label;
    if (!encoding.kept().is_empty()) note.kept = std::make_shared<const KeptBlocks>(encoding.kept());
    note.arguments = allocate(note, terms_size + encoding.size());
    task.has_room = static_cast<bool>(note.arguments);
    if (!task.has_room) return;
    task.record.size = (terms_size + encoding.size()) & TaskRecord::largest_size;
    task.record.set_block(note.arguments.data());
    if (terms_size > 0) {
      task.record.flags |= TaskRecord::has_terms;
      Terms::write(note.arguments.data(), terms);
    }
    encoding.write_to(note.arguments.data() + terms_size);
  }

  template <std::size_t... I>
  static void call_flat(TaskContext& context, std::index_sequence<I...>) {
    if constexpr (fits_slot) {
      const std::byte* bytes = context.arguments().data();
      if constexpr (callable_is_stateless<F>) {
        F function = stateless_callable<F>();
        finish(context, function, typename Shape::Arrived{Layout::template read<I>(bytes)...});
      } else {
        F function = Layout::template read<0>(bytes);
        finish(context, function, typename Shape::Arrived{Layout::template read<I + 1>(bytes)...});
      }
    }
  }

  template <class Function>
  static void finish(TaskContext& context, Function& function, typename Shape::Arrived&& arguments) {
    if constexpr (std::is_void_v<Result>) {
      Shape::call(function, context.worker.state, std::move(arguments));
    } else {
      write_result(context, Result(Shape::call(function, context.worker.state, std::move(arguments))));
    }
  }
};

}  // namespace procpool::detail
