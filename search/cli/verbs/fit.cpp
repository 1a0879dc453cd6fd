// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "blocks/foundation/json_reader.h"
#include "blocks/foundation/text.h"
#include "cost-models/invert.h"
#include "search/cli/verb.h"

namespace mcufit {
namespace {

namespace po = boost::program_options;

// "96x96x3".
Shape parse_shape(const std::string& text) {
  Shape shape;
  const char* at = text.data();
  const char* end = at + text.size();
  for (std::int32_t* extent : {&shape.height, &shape.width, &shape.channels}) {
    const auto [stop, error] = std::from_chars(at, end, *extent);
    const bool last = extent == &shape.channels;
    const bool good = error == std::errc() && *extent >= 1 && *extent <= 32767 &&
                      (last ? stop == end : stop != end && *stop == 'x');
    if (!good)
      throw Error(ExitCode::usage,
                  fmt::format("--input: found '{}'; accepted: HEIGHTxWIDTHxCHANNELS, such as 96x96x3", text));
    at = stop + 1;
  }
  return shape;
}

// "flash_bytes=65536,ram_bytes=24576", with the keys and bounds of a job's limits.
Limits parse_limits(const std::string& text) {
  nlohmann::json object = nlohmann::json::object();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string entry = text.substr(at, end - at);
    const std::size_t equals = entry.find('=');
    std::int64_t value = 0;
    const char* first = entry.data() + (equals == std::string::npos ? entry.size() : equals + 1);
    const auto [stop, error] = std::from_chars(first, entry.data() + entry.size(), value);
    if (error != std::errc() || stop != entry.data() + entry.size()) {
      throw Error(
          ExitCode::usage,
          fmt::format(
              "--limits: found '{}'; accepted: key=integer[,key=integer...], such as flash_bytes=65536",
              entry));
    }
    object[entry.substr(0, equals)] = value;
    at = end + 1;
  }
  return read_config<Limits>(JsonDocument::parse(object.dump(), "--limits"), read_limits);
}

std::vector<std::string> member_row(const char* mark, const Member& m) {
  return {mark,
          with_separators(m.footprint.params),
          with_separators(m.cost.macs),
          with_separators(m.cost.flash.total()),
          with_separators(m.cost.ram.total()),
          fmt::format("{} {:.0f} %", to_string(m.fit.binding), 100 * m.fit.use),
          to_string(m.architecture)};
}

std::string text_of(const Inversion& answer, std::size_t top) {
  std::string text = fmt::format(
      "\n{}: {} of {} members fit, {} distinct networks; {} members priced exactly, the others ruled out by "
      "their closed form\n",
      answer.family->name(), with_separators(answer.fitting_members), with_separators(answer.lattice_members),
      answer.fitting.size(), with_separators(answer.priced_members));
  std::vector<std::vector<std::string>> rows{
      {"", "params", "MACs", "flash B", "RAM B", "most used", "architecture"}};
  for (std::size_t i = 0; i < std::min(top, answer.fitting.size()); ++i)
    rows.push_back(member_row(i == 0 ? "best" : "", answer.fitting[i]));
  if (answer.next_larger) rows.push_back(member_row("next larger, does not fit", *answer.next_larger));
  if (answer.nearest_miss) rows.push_back(member_row("nearest miss", *answer.nearest_miss));
  return text + aligned_table(rows);
}

class FitVerb : public Verb {
 public:
  std::string_view name() const override { return "fit"; }
  std::string_view summary() const override {
    return "inverts families: which members fit a target, and which resource binds";
  }
  std::string_view usage() const override { return "fit --target NAME --input HxWxC --classes N [options]"; }
  std::string_view example() const override {
    return "mcufit fit --target nrf52840 --limits flash_bytes=65536,ram_bytes=24576 --input 28x28x1 "
           "--classes 10";
  }

  void add_options(po::options_description& options) const override {
    options.add_options()("target", po::value<std::string>()->required(),
                          "a target's name or file (`mcufit targets`)")(
        "limits", po::value<std::string>()->default_value(""),
        "below the target's: flash_bytes=, ram_bytes=, macs=, params=")(
        "input", po::value<std::string>()->required(), "shape of a sample, HEIGHTxWIDTHxCHANNELS")(
        "classes", po::value<int>()->required(), "outputs of the classifier")(
        "family", po::value<std::string>()->default_value("all"), "one family, or all")(
        "top", po::value<int>()->default_value(5), "members shown per family");
  }

  ExitCode run(const po::variables_map& options, const std::vector<std::string>&) const override {
    const Target target = load_target(options["target"].as<std::string>());
    const Budget budget = derive(target, parse_limits(options["limits"].as<std::string>()));
    const Task task{parse_shape(options["input"].as<std::string>()), options["classes"].as<int>()};
    const int top = options["top"].as<int>();
    if (task.classes < 2 || task.classes > 32767)
      throw Error(ExitCode::usage, fmt::format("--classes: found {}; accepted: 2 to 32767", task.classes));
    if (top < 1) throw Error(ExitCode::usage, fmt::format("--top: found {}; accepted: at least 1", top));
    const std::string wanted = options["family"].as<std::string>();
    const CodeSizesForTarget code = load_code_sizes(target);
    nlohmann::json document = {
        {"target", to_json(target)}, {"budget", to_json(budget)}, {"families", nlohmann::json::array()}};
    std::string text = fmt::format("{} ({}): flash {} bytes, RAM {} bytes{}\n", target.name, target.board,
                                   with_separators(budget.flash_bytes), with_separators(budget.ram_bytes),
                                   code.estimated ? "; code sizes estimated from cortex-m4" : "");
    bool fits = false;
    for (const Family* f : wanted == "all" ? std::vector<const Family*>(families().begin(), families().end())
                                           : std::vector{&family(wanted)}) {
      const Inversion answer = invert(*f, task, budget, code);
      fits |= !answer.fitting.empty();
      document["families"].push_back(to_json(answer, static_cast<std::size_t>(top)));
      text += text_of(answer, static_cast<std::size_t>(top));
    }
    document["fits"] = fits;
    std::cout << (options.count("json") > 0 ? document.dump(2) + "\n" : text);
    return fits ? ExitCode::ok : ExitCode::constraint_not_met;
  }
};

}  // namespace

const Verb& make_verb_fit() {
  static const FitVerb verb;
  return verb;
}

}  // namespace mcufit
