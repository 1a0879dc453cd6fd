// SPDX-License-Identifier: Apache-2.0
#include "search/cli/job.h"

#include <nlohmann/json.hpp>

#include "blocks/foundation/json_reader.h"
#include "search/strategy.h"

namespace mcufit {
namespace {

constexpr std::int64_t kMostSamples = 100'000'000;

template <typename T>
std::vector<std::string> names_of(std::span<const T* const> registered) {
  std::vector<std::string> names;
  for (const T* entry : registered) names.emplace_back(entry->name());
  return names;
}

void read_data(ObjectReader& r, DataOptions& data) {
  data.name = r.choice("name", names_of(datasets()), "data set");
  data.folder = r.string("folder", "folder of its files; empty: where its package puts them", "");
  data.validation_samples = r.integer("validation_samples", {1, kMostSamples},
                                      "training samples kept for validation", data.validation_samples);
  data.test_samples =
      r.integer("test_samples", {0, kMostSamples}, "test samples read at the end; 0: all", data.test_samples);
}

Fidelity read_rung(ObjectReader& r) {
  Fidelity f;
  f.trials = static_cast<std::int32_t>(r.integer("trials", {1, 10000}, "candidates that reach this rung"));
  f.epochs = static_cast<std::int32_t>(r.integer("epochs", {1, 10000}, "passes over the training samples"));
  f.samples = r.integer("samples", {0, kMostSamples}, "training samples of an epoch; 0: all", 0);
  return f;
}

}  // namespace

void read_training(ObjectReader& r, TrainOptions& o) {
  o.batch_size =
      static_cast<std::int32_t>(r.integer("batch_size", {2, 65536}, "samples of a step", o.batch_size));
  o.learning_rate = r.number("learning_rate", {1e-9, 1e3}, "at its peak", o.learning_rate);
  o.warmup_epochs = r.number("warmup_epochs", {0, 1e4}, "linear rise of the learning rate", o.warmup_epochs);
  o.momentum = r.number("momentum", {0, 0.9999}, "Nesterov momentum", o.momentum);
  o.weight_decay = r.number("weight_decay", {0, 1}, "of filters", o.weight_decay);
  o.label_smoothing =
      r.number("label_smoothing", {0, 0.9}, "share of the label given to all classes", o.label_smoothing);
  o.horizontal_flip = r.boolean("horizontal_flip", "mirror half of the samples", o.horizontal_flip);
  o.shift_pixels =
      static_cast<std::int32_t>(r.integer("shift_pixels", {0, 64}, "random shift, at most", o.shift_pixels));
}

nlohmann::json to_json(const TrainOptions& o) {
  return {{"batch_size", o.batch_size},           {"learning_rate", o.learning_rate},
          {"warmup_epochs", o.warmup_epochs},     {"momentum", o.momentum},
          {"weight_decay", o.weight_decay},       {"label_smoothing", o.label_smoothing},
          {"horizontal_flip", o.horizontal_flip}, {"shift_pixels", o.shift_pixels}};
}

Job read_job(ObjectReader& r) {
  Job job;
  job.name = r.string("name", "name of the job, its run folder and its package");
  for (const char c : job.name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_') {
      r.problem("name", "accepted: letters, digits, '-' and '_'");
      break;
    }
  }
  job.target = r.string("target", "a target's name, or the path of a target file");
  r.optional_object("limits", "limits below the target's own",
                    [&](ObjectReader& limits) { job.limits = read_limits(limits); });
  job.plan = *find_plan_choice(
      r.choice("plan", plan_choice_names(), "memory plans of the candidates and packages", "fits"));
  job.mac_factor =
      r.number("mac_factor", {1, kMostMacFactor},
               "most multiply-accumulates of a plan, relative to its network's: above 1 groups may "
               "run in tiles, which make some columns twice, where no other plan fits",
               job.mac_factor);
  if (job.mac_factor > 1 && job.plan == PlanChoice::layer_by_layer)
    r.problem("mac_factor",
              "found plan layer-by-layer, which computes nothing twice; accepted: 1, or plan "
              "fits or least-ram");
  job.wide_filters = r.boolean("wide_filters",
                               "depthwise filters in flash as the core's kernels compute with them: fewer "
                               "instructions where they run row by row, about twice to four times their "
                               "bytes; cortex-m4, m7, m33",
                               job.wide_filters);
  r.object("data", "what to learn from", [&](ObjectReader& data) { read_data(data, job.data); });
  job.families = r.choices("families", names_of(families()), "block families to invert");
  r.object("search", "how candidates are tried", [&](ObjectReader& s) {
    job.strategy = s.choice("strategy", names_of(strategies()), "who decides which trials run");
    job.seed = static_cast<std::uint64_t>(
        s.integer("seed", {0, std::int64_t{1} << 53}, "of every random stream", 1));
    job.workers = static_cast<int>(s.integer("workers", {1, 256}, "trials side by side", job.workers));
    job.rungs = s.objects<Fidelity>("rungs", 1, 16, "fidelities, cheapest first", read_rung);
  });
  r.optional_object("training", "how networks learn",
                    [&](ObjectReader& t) { read_training(t, job.training); });
  job.range_samples = r.integer("range_samples", {1, kMostSamples},
                                "training samples that activation ranges are observed on", job.range_samples);
  job.device_samples =
      r.integer("device_samples", {1, kMostSamples}, "test samples run on the device", job.device_samples);
  for (std::size_t i = 1; i < job.rungs.size(); ++i) {
    if (job.rungs[i].trials > job.rungs[i - 1].trials)
      r.problem("search", "a rung has more trials than the one before it");
  }
  return job;
}

Job load_job(const std::filesystem::path& path) {
  return read_config<Job>(JsonDocument::read(path), read_job);
}

nlohmann::json to_json(const Job& job) {
  nlohmann::json rungs = nlohmann::json::array();
  for (const Fidelity& f : job.rungs)
    rungs.push_back({{"trials", f.trials}, {"epochs", f.epochs}, {"samples", f.samples}});
  return {{"name", job.name},
          {"target", job.target},
          {"limits", to_json(job.limits)},
          {"plan", to_string(job.plan)},
          {"mac_factor", job.mac_factor},
          {"wide_filters", job.wide_filters},
          {"data",
           {{"name", job.data.name},
            {"validation_samples", job.data.validation_samples},
            {"test_samples", job.data.test_samples}}},
          {"families", job.families},
          {"search", {{"strategy", job.strategy}, {"seed", job.seed}, {"rungs", std::move(rungs)}}},
          {"training", to_json(job.training)},
          {"range_samples", job.range_samples},
          {"device_samples", job.device_samples}};
}

}  // namespace mcufit
