// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>

#include <array>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/detail/os/sanitizers.hpp>
#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"

using procpool::from_snapshot;
using procpool::Future;
using procpool::partial;
using procpool::ProcessPool;
using procpool::UsageError;

namespace {

/// Asks for more than the alignment of the shared blocks.
struct alignas(256) Wide {
  double value = 0;
};

double last_if_aligned(std::span<const Wide> items) {
  return reinterpret_cast<std::uintptr_t>(items.data()) % alignof(Wide) == 0 ? items.back().value : -1;
}

/// Lets nobody take its address or use a comma behind it.
struct Guarded {
  int number = 0;
  void operator&() const = delete;
  template <class T>
  void operator,(T&&) const = delete;
};

struct GuardedText {
  std::string text = {};
  int number = 0;
  void operator&() const = delete;
  template <class T>
  void operator,(T&&) const = delete;
};

/// There and back again.
template <class T>
T echoed(const ProcessPool<>& pool, const T& value) {
  return pool.submit([](const T& given) { return given; }, value).get();
}

enum class Colour : std::uint8_t { red, green };

struct Point {
  int x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Person {
  std::string name = {};
  std::vector<Point> places = {};
  std::optional<Colour> favourite = {};
  std::map<std::string, int> ages = {};
  bool operator==(const Person&) const = default;
};

/// Has an invariant, and its own way to be sent.
class Fraction {
 public:
  Fraction() = default;
  Fraction(int above, int below) : above_(above), below_(below) {}
  bool operator==(const Fraction&) const = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(above_, below_);
  }

 private:
  int above_ = 0;
  int below_ = 1;
};

/// Sent by functions beside it, in its namespace.
struct Celsius {
  explicit Celsius(double given = 0) : degrees(given) {}
  double degrees;
};
template <class Archive>
void save(Archive& archive, const Celsius& temperature) {
  archive(temperature.degrees);
}
template <class Archive>
void load(Archive& archive, Celsius& temperature) {
  archive(temperature.degrees);
}

/// Whether it lies on the heap or the stack of this process.
bool is_private(const void* address) {
  return procpool::detail::points_into_private_writable_memory(reinterpret_cast<std::uintptr_t>(address));
}

struct Adder {
  int term;
  int operator()(int x) const { return x + term; }
};

}  // namespace

TEST_CASE("text arrives as text, whatever it was sent as and whatever receives it") {
  ProcessPool pool{1};
  const auto as_view = [](std::string_view text) { return text.size(); };
  const auto as_string = [](const std::string& text) { return text.size(); };
  const auto as_pointer = [](const char* text) { return std::string_view(text).size(); };
  const std::string string = "seven ch";
  char buffer[] = "seven ch";
  char* const pointer = buffer;
  CHECK(pool.submit(as_view, "seven ch").get() == 8);
  CHECK(pool.submit(as_view, string).get() == 8);
  CHECK(pool.submit(as_view, std::string_view(string)).get() == 8);
  CHECK(pool.submit(as_view, pointer).get() == 8);
  CHECK(pool.submit(as_string, "seven ch").get() == 8);
  CHECK(pool.submit(as_string, string).get() == 8);
  CHECK(pool.submit(as_pointer, string).get() == 8);
  CHECK(pool.submit(as_pointer, buffer).get() == 8);
  CHECK(pool.submit([](std::u16string_view text) { return text.size(); }, u"two").get() == 3);
  CHECK(pool.submit([](auto text) { return std::string(text); }, "generic").get() == "generic");
}

TEST_CASE("a function with a view as its parameter reads the shared memory in place") {
  ProcessPool pool{1};
  const std::vector<int> items(1'000'000, 1);
  const auto view = [](std::span<const int> seen) {
    return std::pair(std::accumulate(seen.begin(), seen.end(), 0), is_private(seen.data()));
  };
  CHECK(pool.submit(view, items).get() == std::pair(1'000'000, false));
  CHECK(pool.submit(view, std::span(items)).get() == std::pair(1'000'000, false));
  CHECK(pool.submit(view, std::span(items).first(10)).get() == std::pair(10, false));
  const auto copy = [](const std::vector<int>& received) { return is_private(received.data()); };
  CHECK(pool.submit(copy, items).get());
  const std::string text(1'000'000, 'x');
  CHECK_FALSE(pool.submit([](std::string_view seen) { return is_private(seen.data()); }, text).get());
  CHECK_FALSE(pool.submit([](const char* seen) { return is_private(seen); }, text).get());
}

TEST_CASE("a view of items that no block can be aligned for reads a copy") {
  ProcessPool pool{2};
  std::vector<Wide> items(10);
  items.back().value = 7;
  CHECK(pool.submit(last_if_aligned, items).get() == 7);
  CHECK(pool.submit(partial(last_if_aligned, items)).get() == 7);
  CHECK(pool.map(last_if_aligned, std::vector{items, items}) == std::vector{7., 7.});
  const auto own = [](const Wide& item) { return last_if_aligned({&item, 1}); };
  CHECK(pool.map(own, items).back() == 7);
}

TEST_CASE("a type may overload the operators that the library might have used") {
  ProcessPool pool{2};
  const auto same = [](Guarded item) { return item; };
  const auto same_text = [](const GuardedText& item) { return item; };
  const std::vector<Guarded> items(3, Guarded{7});
  const std::vector<GuardedText> texts(3, GuardedText{"text", 7});
  CHECK(pool.submit(same, items[0]).get().number == 7);
  CHECK(pool.map(same, items).back().number == 7);
  CHECK(pool.map_async(same, items).get().back().number == 7);
  CHECK(pool.submit(same_text, texts[0]).then(same_text).share().get().text == "text");
  CHECK(pool.map(same_text, texts).back().text == "text");
  CHECK(pool.map_outcomes(same_text, texts).back()->number == 7);
  for (auto&& each : pool.imap(same_text, texts)) CHECK(each.number == 7);
  const auto sum = [](Guarded a, Guarded b) { return Guarded{a.number + b.number}; };
  CHECK(pool.map_reduce(same, sum, Guarded(), items).number == 21);
}

TEST_CASE("what arrives as a view of text ends with a zero where C expects it") {
  ProcessPool pool{1};
  const std::string with_zero("a\0b", 3);
  CHECK(pool.submit([](std::string_view text) { return std::string(text); }, with_zero).get() == with_zero);
  CHECK(pool.submit([](const char* text) { return text[2]; }, with_zero).get() == 'b');
  CHECK(pool.submit([](const char* text) { return text[3]; }, with_zero).get() == '\0');
}

TEST_CASE("arrays arrive as arrays") {
  ProcessPool pool{1};
  const int c_array[] = {1, 2, 3};
  const auto sum_of_three = [](const int(&items)[3]) { return items[0] + items[1] + items[2]; };
  CHECK(pool.submit(sum_of_three, c_array).get() == 6);
  CHECK(pool.submit([](std::span<const int> items) { return items.size(); }, c_array).get() == 3);
  CHECK(echoed(pool, std::array{1, 2, 3}) == std::array{1, 2, 3});
  CHECK(echoed(pool, std::array<std::string, 2>{"a", "b"}) == std::array<std::string, 2>{"a", "b"});
}

TEST_CASE("numbers, enumerations and other plain bytes arrive as they were") {
  ProcessPool pool{1};
  const auto all = [](bool b, char c, std::uint64_t u, double d, Colour colour, std::complex<float> z,
                      std::chrono::nanoseconds time) { return std::tuple(b, c, u, d, colour, z, time); };
  const std::tuple sent(true, 'c', ~std::uint64_t{0}, -0.5, Colour::green, std::complex(1.F, 2.F),
                        std::chrono::nanoseconds(5));
  CHECK(pool.starmap(all, std::vector{sent}).front() == sent);
  CHECK(echoed(pool, std::byte{7}) == std::byte{7});
  CHECK(echoed(pool, nullptr) == nullptr);
}

TEST_CASE("the standard's containers and wrappers arrive as they were") {
  ProcessPool pool{1};
  const auto nested = std::vector<std::map<std::string, std::set<int>>>{{{"a", {1, 2}}}, {}};
  CHECK(echoed(pool, nested) == nested);
  using Mixed = std::tuple<std::list<int>, std::deque<std::string>, std::unordered_map<int, double>, std::vector<bool>>;
  const Mixed mixed{{1, 2}, {"x"}, {{1, 0.5}}, {true, false, true}};
  CHECK(echoed(pool, mixed) == mixed);
  using Choice = std::variant<int, std::string, std::optional<std::pair<int, std::string>>>;
  for (const Choice& choice : {Choice(1), Choice("text"), Choice(std::optional(std::pair(2, std::string("two"))))}) {
    CHECK(echoed(pool, choice) == choice);
  }
}

TEST_CASE("plain structs arrive as they were, whatever they hold") {
  ProcessPool pool{1};
  CHECK(echoed(pool, Point{1, 0.5}) == Point{1, 0.5});
  const Person person{"Ada", {{1, 2}, {3, 4}}, Colour::red, {{"Byron", 36}}};
  CHECK(echoed(pool, person) == person);
  CHECK(echoed(pool, std::vector(3, person)) == std::vector(3, person));
}

TEST_CASE("a type says itself how it is sent") {
  ProcessPool pool{1};
  CHECK(echoed(pool, Fraction(1, 3)) == Fraction(1, 3));
  CHECK(echoed(pool, Celsius(36.6)).degrees == 36.6);
  const std::map<std::string, Fraction> fractions = {{"third", {1, 3}}};
  CHECK(echoed(pool, fractions) == fractions);
}

TEST_CASE("paths and directory entries cross") {
  ProcessPool pool{1};
  CHECK(echoed(pool, std::filesystem::path("/tmp/ä b")) == "/tmp/ä b");
  const std::filesystem::directory_entry entry("/proc/self/maps");
  CHECK(echoed(pool, entry).path() == entry.path());
  CHECK(pool.submit([](const std::filesystem::path& path) { return path.filename().string(); }, entry).get() == "maps");
}

TEST_CASE("what can only be moved is moved in and out") {
  ProcessPool pool{1};
  auto boxed = std::make_unique<std::string>("inside");
  auto opened = pool.submit([](std::unique_ptr<std::string> box) { return std::move(*box) + "!"; }, std::move(boxed));
  CHECK(opened.get() == "inside!");
  const auto made = pool.submit([](int x) { return std::make_unique<int>(x); }, 5).get();
  CHECK(*made == 5);
  CHECK(pool.submit([](std::unique_ptr<int> none) { return none == nullptr; }, std::unique_ptr<int>()).get());
}

TEST_CASE("objects that are shared within an argument are shared where it arrives") {
  ProcessPool pool{1};
  const auto shared = std::make_shared<std::string>("one");
  const std::vector<std::shared_ptr<std::string>> twice = {shared, shared};
  const auto are_same = [](const std::vector<std::shared_ptr<std::string>>& both) { return both[0] == both[1]; };
  CHECK(pool.submit(are_same, twice).get());
}

TEST_CASE("the items of a map may be views") {
  ProcessPool pool{2};
  const auto length = [](std::string_view text) { return text.size(); };
  CHECK(pool.map(length, std::vector<std::string_view>{"a", "bcd"}) == std::vector<std::size_t>{1, 3});
  CHECK(pool.map(length, std::vector<const char*>{"a", "bcd"}) == std::vector<std::size_t>{1, 3});
  const std::vector<int> items = {1, 2, 3, 4};
  const std::vector<std::span<const int>> parts = {std::span(items).first(1), std::span(items).last(3)};
  CHECK(pool.map([](std::span<const int> part) { return part.size(); }, parts) == std::vector<std::size_t>{1, 3});
}

TEST_CASE("partial binds what a lambda cannot capture") {
  ProcessPool pool{2};
  const std::map<std::string, int> ages = {{"Ada", 36}};
  const auto age_of = [](const std::map<std::string, int>& known, const std::string& name, int otherwise) {
    const auto found = known.find(name);
    return found != known.end() ? found->second : otherwise;
  };
  CHECK(pool.submit(partial(age_of, ages), "Ada", 0).get() == 36);
  CHECK(pool.map(partial(age_of, ages), std::vector<std::string>{"Ada", "Bob"}, std::vector{0, -1}) ==
        std::vector{36, -1});
  CHECK(pool.submit(partial(partial(age_of, ages), "Bob"), 7).get() == 7);
  CHECK(pool.submit(partial([](const char* text) { return std::string(text); }, "bound")).get() == "bound");
  CHECK(pool.submit(partial(&Adder::operator(), Adder{2}), 3).get() == 5);
}

TEST_CASE("closures and function objects that are plain bytes are sent as they are") {
  ProcessPool pool{2};
  const int term = 5;
  const Point point{1, 2};
  CHECK(pool.map([=](int x) { return x + term + point.x; }, std::vector{1, 2}) == std::vector{7, 8});
  CHECK(pool.map(Adder{1}, std::vector{1, 2}) == std::vector{2, 3});
  int (*const function)(int) = [](int x) { return -x; };
  CHECK(pool.map(function, std::vector{1, 2}) == std::vector{-1, -2});
}

TEST_CASE("a closure that was kept in an optional or a tuple before is sent as well") {
  ProcessPool pool{1};
  int term = 5;
  auto add_term = [term](int x) { return x + term; };
  std::optional<decltype(add_term)> kept(add_term);
  CHECK(pool.submit(*kept, 1).get() == 6);
  CHECK(pool.map(*kept, std::vector{1, 2}) == std::vector{6, 7});
  const std::tuple both(add_term, 1);
  CHECK(pool.submit(std::get<0>(both), 1).get() == 6);
}

TEST_CASE("a capture by reference is a mistake that is named before anything is sent") {
  ProcessPool pool{1};
  int local = 0;
  static int global = 0;
  const auto heap = std::make_unique<int>(0);
  int* const pointer = heap.get();
  CHECK_THROWS_AS(pool.submit([&local] { return local; }), UsageError);
  CHECK_THROWS_AS(pool.submit([pointer] { return *pointer; }), UsageError);
  CHECK_THROWS_AS(pool.submit([address = &global] { return *address; }), UsageError);
  CHECK_THROWS_AS(pool.map([&local](int x) { return x + local; }, std::vector{1}), UsageError);
  CHECK_THROWS_AS(pool.for_each([&local](int x) { local += x; }, std::vector{1}), UsageError);
  CHECK_THROWS_AS(pool.run_on_each_worker([&local] { return local; }), UsageError);
  CHECK_THROWS_AS(
      pool.map_reduce([](int x) { return x; }, [&local](int a, int b) { return a + b + local; }, 0, std::vector{1}),
      UsageError);
  CHECK_THROWS_WITH(pool.submit([&local] { return local; }), Catch::Matchers::ContainsSubstring("from_snapshot"));
  CHECK(pool.stats().submitted == 0);
}

TEST_CASE("from_snapshot reads memory as it was when the pool was made") {
  std::vector<int> table(1000, 1);
  ProcessPool pool{2};
  table.assign(1000, 2);
  const auto look_up = from_snapshot([&table](int index) { return table[static_cast<std::size_t>(index)]; });
  CHECK(pool.submit(look_up, 5).get() == 1);
  CHECK(pool.map(look_up, std::vector{1, 2}) == std::vector{1, 1});
}

TEST_CASE("a function of a library that was loaded after the pool was made is a mistake that is named") {
  ProcessPool pool{1};
  const std::unique_ptr<void, int (*)(void*)> library(::dlopen("libthread_db.so.1", RTLD_LAZY | RTLD_LOCAL), ::dlclose);
  REQUIRE(library != nullptr);
  auto* const function = reinterpret_cast<int (*)()>(::dlsym(library.get(), "td_init"));
  REQUIRE(function != nullptr);
  CHECK_THROWS_AS(pool.submit(function), UsageError);
  CHECK_THROWS_WITH(pool.submit(function), Catch::Matchers::ContainsSubstring("libthread_db"));
  CHECK(ProcessPool(1).submit(function).get() == 0);
}

TEST_CASE("a null pointer to a function is a mistake that is named") {
  ProcessPool pool{1};
  int (*const nothing)(int) = nullptr;
  CHECK_THROWS_AS(pool.submit(nothing, 1), UsageError);
  CHECK_THROWS_AS(pool.map(nothing, std::vector{1}), UsageError);
}

TEST_CASE("arguments are converted as a call would, where they arrive") {
  ProcessPool pool{1};
  CHECK(pool.submit([](double x) { return x / 2; }, 1).get() == 0.5);
  CHECK(pool.submit([](std::string text) { return text.size(); }, "literal").get() == 7);
  CHECK(pool.submit([](const std::vector<int>& items) { return items.size(); }, std::vector{1, 2}).get() == 2);
  CHECK(pool.submit([](std::vector<int>&& items) { return std::move(items).size(); }, std::vector{1, 2}).get() == 2);
  CHECK(pool.submit([](std::optional<int> x) { return x.has_value(); }, 1).get());
}

TEST_CASE("a large argument and a large result arrive whole") {
  ProcessPool pool{2};
  std::string large(std::size_t{8} << 20, '\0');
  for (std::size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>(i / 4096);
  CHECK(echoed(pool, large) == large);
}

TEST_CASE("a large result is in its worker's memory once, and once more where the future finds it") {
  constexpr std::size_t much = std::size_t{64} << 20;
  const auto make = [](std::size_t bytes) { return std::vector<char>(bytes, 'x'); };
  ProcessPool pool{1};
  const auto measured = pool.with({.measure = true});
  const auto peak_of = [&](std::size_t bytes) {
    Future<std::vector<char>> result = measured.submit(make, bytes);
    const std::size_t peak = result.usage().peak_memory;
    CHECK(result.get().size() == bytes);
    return peak;
  };
  const std::size_t least = peak_of(1);
  CHECK(peak_of(much) - least > 2 * much - much / 4);
  // A sanitizer keeps for a while what was freed.
  if (!procpool::detail::is_sanitized) CHECK(peak_of(much) - least < 2 * much + much / 4);
}
