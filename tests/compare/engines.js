// SPDX-License-Identifier: Apache-2.0
// The runtimes that exported models are compared with. Each opens a model file and runs int8 samples, NHWC in and out.
// `judged`: single ops must be within a step.
'use strict';

const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

// ONNX has channels first.
function channelsFirst(values, [height, width, channels]) {
  const out = new Int8Array(values.length);
  for (let p = 0; p < height * width; ++p)
    for (let c = 0; c < channels; ++c) out[c * height * width + p] = values[p * channels + c];
  return out;
}

function channelsLast(values, [height, width, channels]) {
  const out = new Array(values.length);
  for (let p = 0; p < height * width; ++p)
    for (let c = 0; c < channels; ++c) out[p * channels + c] = values[c * height * width + p];
  return out;
}

function onnx(title, level, judged) {
  const open = async (file, meta) => {
    const session =
        await ort.InferenceSession.create(file, {graphOptimizationLevel: level, intraOpNumThreads: 1, logSeverityLevel: 3});
    const [height, width, channels] = meta.input;
    return {
      run: async sample => {
        const tensor = new ort.Tensor('int8', channelsFirst(sample, meta.input), [1, channels, height, width]);
        const found = await session.run({[session.inputNames[0]]: tensor});
        return channelsLast(found[session.outputNames[0]].data, meta.output);
      },
      close: () => session.release()
    };
  };
  return {title, judged, suffix: '.onnx', open};
}

// TensorFlow Lite in WebAssembly, without its wrapper, which needs a browser.
const wasmFolder = path.join(path.dirname(require.resolve('@tensorflow/tfjs-tflite/package.json')), 'wasm');
const loaded = require(path.join(wasmFolder, 'tflite_web_api_cc_simd.js'))({
  wasmBinary: fs.readFileSync(path.join(wasmFolder, 'tflite_web_api_cc_simd.wasm')),
  printErr: () => {}
});

async function openTflite(file) {
  const wasm = await loaded;
  const model = fs.readFileSync(file);
  const place = wasm._malloc(model.length);
  wasm.HEAPU8.set(model, place);
  const created = wasm.TFLiteWebModelRunner.CreateFromBufferAndOptions(
      place, model.length, {numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 0});
  if (!created.ok()) throw new Error(file + ': ' + created.errorMessage());
  const runner = created.value();
  const bytes = tensor => new Int8Array(tensor.data().buffer, tensor.data().byteOffset, tensor.data().length);
  return {
    run: async sample => {
      bytes(runner.GetInputs().get(0)).set(sample);
      if (!runner.Infer()) throw new Error(file + ': did not run');
      return Array.from(bytes(runner.GetOutputs().get(0)));
    },
    close: async () => {
      runner.delete();
      wasm._free(place);
    }
  };
}

module.exports = [
  {title: 'TensorFlow Lite (WebAssembly, XNNPACK)', judged: true, suffix: '.tflite', open: openTflite},
  onnx('ONNX Runtime, as written (float arithmetic)', 'basic', true),
  onnx('ONNX Runtime, fused (integer arithmetic)', 'all', false)
];
