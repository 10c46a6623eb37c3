// SPDX-License-Identifier: BSL-1.0

#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <valarray>
#include <vector>

#include <cereal/types/chrono.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/queue.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/valarray.hpp>
#include <cereal/types/vector.hpp>
#include <cereal/version.hpp>

#include <procpool/serial/archive.hpp>

#include "../../support/catch.hpp"
#include "round_trip.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace cereal_functions {

struct Member {
  std::string text;
  int number = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(text), cereal::make_nvp("n", number));
  }
};

struct Split {
  std::vector<int> numbers;
  std::size_t loads = 0;
  template <class Archive>
  void save(Archive& archive) const {
    archive(cereal::make_size_tag(numbers.size()));
    archive(cereal::binary_data(numbers.data(), numbers.size() * sizeof(int)));
  }
  template <class Archive>
  void load(Archive& archive) {
    std::size_t size = 0;
    archive(cereal::make_size_tag(size));
    numbers.resize(size);
    archive(cereal::binary_data(numbers.data(), size * sizeof(int)));
    ++loads;
  }
};

struct Minimal {
  std::string text;
  template <class Archive>
  std::string save_minimal(const Archive&) const {
    return text;
  }
  template <class Archive>
  void load_minimal(const Archive&, const std::string& value) {
    text = value;
  }
};

struct Versioned {
  int number = 0;
  unsigned version = 0;
  template <class Archive>
  void serialize(Archive& archive, const std::uint32_t with_version) {
    archive(number);
    version = with_version;
  }
};

class Private {
 public:
  explicit Private(int number) : number_(number) {}
  Private() = default;
  [[nodiscard]] int number() const { return number_; }

 private:
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive& archive) {
    archive& number_;
  }
  int number_ = 0;
};

struct Outside {
  int number = 0;
  int* not_sent = nullptr;
};
template <class Archive>
void save(Archive& archive, const Outside& value) {
  archive(value.number);
}
template <class Archive>
void load(Archive& archive, Outside& value) {
  archive(value.number);
}

struct Top {
  int top = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(top);
  }
};
struct Left : virtual Top {
  std::string left;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::virtual_base_class<Top>(this), left);
  }
};
struct PlainBase {
  std::string plain;
};
struct OverPlainBase : PlainBase {
  int more = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<PlainBase>(this), more);
  }
};

struct Deferring {
  Member now, later;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::defer(later), now);
    archive.serializeDeferments();
  }
};

class NoDefault {
 public:
  explicit NoDefault(int number) : number_(number) {}
  [[nodiscard]] int number() const { return number_; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number_);
  }
  template <class Archive>
  static void load_and_construct(Archive& archive, cereal::construct<NoDefault>& construct) {
    int number = 0;
    archive(number);
    construct(number);
  }

 private:
  int number_;
};

struct Figure {
  virtual ~Figure() = default;
  [[nodiscard]] virtual double area() const = 0;
};
struct Square : Figure {
  double side = 0;
  [[nodiscard]] double area() const override { return side * side; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(side);
  }
};
struct Circle : Figure {
  double radius = 0;
  std::string name;
  [[nodiscard]] double area() const override { return 3 * radius * radius; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(radius, name);
  }
};

}  // namespace cereal_functions

CEREAL_CLASS_VERSION(cereal_functions::Versioned, 7)
CEREAL_REGISTER_TYPE(cereal_functions::Circle)
CEREAL_REGISTER_POLYMORPHIC_RELATION(cereal_functions::Figure, cereal_functions::Circle)

using namespace cereal_functions;

TEST_CASE("every form of function that cereal knows is called") {
  const auto member = round_trip(Member{"text", 3});
  CHECK(member.text == "text");
  CHECK(member.number == 3);
  const auto split = round_trip(Split{{1, 2, 3}});
  CHECK(split.numbers == std::vector<int>{1, 2, 3});
  CHECK(split.loads == 1);
  CHECK(round_trip(Minimal{"minimal"}).text == "minimal");
  CHECK(round_trip(Versioned{3}).version == 7);
  CHECK(round_trip(Private(4)).number() == 4);
  CHECK(round_trip(Outside{5}).number == 5);
  CHECK(round_trip(std::vector<Member>(3, Member{"text", 3}))[2].number == 3);
}

TEST_CASE("bases are written as a serialize says, also plain ones") {
  Left left;
  left.top = 1;
  left.left = "left";
  const auto arrived = round_trip(left);
  CHECK(arrived.top == 1);
  CHECK(arrived.left == "left");
  OverPlainBase over;
  over.plain = "plain";
  over.more = 2;
  CHECK(round_trip(over).plain == "plain");
  CHECK(round_trip(over).more == 2);
}

TEST_CASE("deferred data is written later and read later") {
  const auto arrived = round_trip(Deferring{{"now", 1}, {"later", 2}});
  CHECK(arrived.now.text == "now");
  CHECK(arrived.later.number == 2);
}

TEST_CASE("a type that only a header of cereal's knows crosses with that header") {
  CHECK((round_trip(std::valarray<double>{1, 2, 3}) == std::valarray<double>{1, 2, 3}).min());
  std::queue<std::string> queue;
  queue.push("first");
  queue.push("second");
  CHECK(round_trip(queue) == queue);
}

TEST_CASE("the headers of cereal change nothing for the types that the archives know") {
  static_assert(is_flat_value<std::chrono::seconds>);
  static_assert(Standard<std::vector<std::string>>::is_known && Standard<std::shared_ptr<int>>::is_known);
  CHECK(round_trip(std::vector<std::string>{"a", "b"}) == std::vector<std::string>{"a", "b"});
  CHECK(*round_trip(std::make_shared<int>(4)) == 4);
}

TEST_CASE("a class without a default constructor crosses in a smart pointer that can construct it") {
  const auto arrived = round_trip(std::pair{std::make_shared<NoDefault>(3), std::make_shared<Member>(Member{"m", 1})});
  CHECK(arrived.first->number() == 3);
  CHECK(arrived.second->text == "m");
}

TEST_CASE("registered derived classes cross by pointers to their base") {
  Circle circle;
  circle.radius = 2;
  circle.name = "circle";
  const auto arrived = round_trip(std::vector<std::shared_ptr<Figure>>(2, std::make_shared<Circle>(circle)));
  CHECK(arrived[0]->area() == 12);
  CHECK(arrived[0] == arrived[1]);
}

TEST_CASE("a derived class that nobody registered is a SerializationError") {
  Encoding encoding;
  encoding.add(5);
  const std::size_t before = encoding.size();
  CHECK_THROWS_AS(encoding.add(std::shared_ptr<Figure>(std::make_shared<Square>())), SerializationError);
  CHECK(encoding.size() == before);
}
