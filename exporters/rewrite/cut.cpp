// SPDX-License-Identifier: Apache-2.0
// Cuts dead channels out of a graph.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "exporters/rewrite/dead_channels.h"
#include "exporters/rewrite/edit.h"

namespace mcufit {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

std::int32_t count_alive(const std::vector<bool>& dead) {
  return static_cast<std::int32_t>(std::count(dead.begin(), dead.end(), false));
}

template <typename T>
void keep_alive(std::vector<T>& values, const std::vector<bool>& dead) {
  if (values.empty()) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!dead[i]) values[kept++] = values[i];
  values.resize(kept);
}

class Cut {
 public:
  Cut(const QuantizedGraph& graph, const DeadChannels& dead,
      const std::vector<std::vector<ByteRange>>& ranges)
      : before_(graph), dead_(dead), ranges_(ranges), after_(graph) {}

  QuantizedGraph run() {
    for (NodeId id = 1; id < before_.graph.size(); ++id) {
      if (vanishes(id)) continue;
      if (!before_.node(id).filter.empty()) cut_filter(id);
      cut_op(id);
    }
    remove_vanished();
    infer_shapes(after_.graph);
    return std::move(after_);
  }

 private:
  bool vanishes(NodeId id) const { return count_alive(dead_[index(id)]) == 0; }

  // What constant inputs add to the sums goes into the biases. No padding is in the way: such inputs hold the
  // zero point there. Depthwise filters have no dead inputs that are not dead outputs too.
  void cut_filter(NodeId id) {
    const QuantizedNode& old = before_.node(id);
    QuantizedNode& q = after_.nodes[index(id)];
    const NodeId from = before_.graph.node(id).inputs[0];
    std::vector<std::int32_t> folded(old.bias);
    folded.resize(old.filter_scales.size());
    q.filter.clear();
    for (std::size_t i = 0; i < old.filter.size(); ++i) {
      const FilterPlace place = filter_place(before_.graph, id, i);
      if (dead_[index(id)][place.output]) continue;
      if (!dead_[index(from)][place.input]) {
        q.filter.push_back(old.filter[i]);
      } else {
        const std::int32_t value = ranges_[index(from)][place.input].least;
        folded[place.output] += old.filter[i] * (value - before_.node(from).output.zero_point);
      }
    }
    if (folded != old.bias && std::any_of(folded.begin(), folded.end(), [](auto b) { return b != 0; }))
      q.bias = std::move(folded);
    keep_alive(q.bias, dead_[index(id)]);
    keep_alive(q.filter_scales, dead_[index(id)]);
  }

  void cut_op(NodeId id) {
    const std::vector<bool>& dead = dead_[index(id)];
    const bool bias = !after_.node(id).bias.empty();
    std::visit(overloaded{[&](Conv2d& c) {
                            c.output_channels = count_alive(dead);
                            c.bias = bias;
                          },
                          [&](FullyConnected& f) {
                            f.output_channels = count_alive(dead);
                            f.bias = bias;
                          },
                          [&](Reshape& r) { r.shape.channels = count_alive(dead); },
                          [&](Pad& p) { cut_border(p, dead); }, [](auto&) {}},
               after_.graph.nodes[index(id)].op);
  }

  static void cut_border(Pad& p, const std::vector<bool>& dead) {
    p.channels_before =
        static_cast<std::int32_t>(std::count(dead.begin(), dead.begin() + p.channels_before, false));
    p.channels_after =
        static_cast<std::int32_t>(std::count(dead.end() - p.channels_after, dead.end(), false));
  }

  // Concatenations lose these inputs; their other readers vanish with them.
  void remove_vanished() {
    for (NodeId id = 1; id < before_.graph.size(); ++id)
      if (!vanishes(id))
        std::erase_if(after_.graph.nodes[index(id)].inputs, [&](NodeId from) { return vanishes(from); });
    drop_unread(after_);
  }

  const QuantizedGraph& before_;
  const DeadChannels& dead_;
  const std::vector<std::vector<ByteRange>>& ranges_;
  QuantizedGraph after_;
};

}  // namespace

QuantizedGraph without(const QuantizedGraph& graph, const DeadChannels& dead,
                       const std::vector<std::vector<ByteRange>>& ranges) {
  return Cut(graph, dead, ranges).run();
}

}  // namespace mcufit
