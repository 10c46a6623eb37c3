// SPDX-License-Identifier: BSL-1.0
//
// A tail in the seahorse valley of the Mandelbrot set, drawn row by row on all CPUs: mandelbrot FILE.png
// Some rows take far longer than others; `map` hands them out a few at a time, and returns them in order.

#include <png.h>

#include <array>
#include <cmath>
#include <complex>
#include <cstdio>
#include <ranges>
#include <vector>

#include <procpool/procpool.hpp>

constexpr int width = 800, height = 450;
constexpr int samples = 3, most_steps = 2000;  // samples in each direction of a pixel, steps for each of them
constexpr std::complex<double> center = {-0.7438, 0.1309};
constexpr double span = 0.0056;  // of the whole width

using Color = std::array<double, 3>;  // red, green, blue; linear

/// A closed circle of colours: night, sky, ivory, amber, wine.
Color palette(double turn) {
  static constexpr Color stops[] = {{0, .0005, .13}, {.014, .11, .61}, {.85, 1, 1}, {1, .41, 0}, {.042, .0007, .011}};
  const double position = 5 * (turn - std::floor(turn));
  const auto stop = static_cast<std::size_t>(position) % 5;
  const double way = position - std::floor(position);
  const Color &from = stops[stop], &to = stops[(stop + 1) % 5];
  Color color;
  for (std::size_t i = 0; i < 3; ++i) color[i] = std::lerp(from[i], to[i], way * way * (3 - 2 * way));
  return color;
}

/// By how many steps z → z² + c takes to run away; how far it got makes the colours flow into each other.
Color color_of(std::complex<double> c) {
  double re = 0, im = 0;
  for (int step = 0; step < most_steps; ++step) {
    const double square = re * re + im * im;
    if (square > 1e6) return palette(0.64 + 1.1 * std::log(step + 2 - std::log2(std::log2(square) / 2)));
    im = 2 * re * im + c.imag();
    re = 2 * re * re - square + c.real();
  }
  return {};
}

/// The pixels of row `y`, three bytes each.
std::vector<unsigned char> draw_row(int y) {
  std::vector<unsigned char> row;
  for (int x = 0; x < width; ++x) {
    Color sum = {};
    for (int line = 0; line < samples; ++line)
      for (int column = 0; column < samples; ++column) {
        const std::complex<double> at(x + (column + .5) / samples, y + (line + .5) / samples);
        const Color color = color_of(center + span / width * std::conj(at - std::complex<double>(width, height) / 2.));
        for (std::size_t i = 0; i < 3; ++i) sum[i] += color[i] / (samples * samples);
      }
    for (const double part : sum) row.push_back(static_cast<unsigned char>(std::lround(255 * std::pow(part, 1 / 2.2))));
  }
  return row;
}

int main(int argc, char** argv) {
  const char* file = argc > 1 ? argv[1] : "mandelbrot.png";
  procpool::ProcessPool pool;
  const auto terms = pool.with({.label = "mandelbrot"}).on_progress(procpool::ProgressBar());
  std::vector<unsigned char> pixels;
  for (const auto& row : terms.map(draw_row, std::views::iota(0, height)))
    pixels.insert(pixels.end(), row.begin(), row.end());

  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_RGB;
  image.width = width;
  image.height = height;
  const bool is_written = png_image_write_to_file(&image, file, 0, pixels.data(), 0, nullptr) != 0;
  if (!is_written) std::fprintf(stderr, "mandelbrot: %s: %s\n", file, image.message);
  return is_written ? 0 : 1;
}
