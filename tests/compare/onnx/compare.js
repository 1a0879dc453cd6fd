// SPDX-License-Identifier: Apache-2.0
// Runs the models that write_cases wrote in ONNX Runtime and compares the bytes: compare.js FOLDER
// A case is NAME.onnx, NAME.json (shapes), NAME.inputs and NAME.outputs (int8, NCHW, one after another). Fails when a
// single op is off by more than one step as written, since reals are rounded but once. For networks the share of
// inputs with the same largest output is printed, and how many steps outputs are off.
'use strict';

const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

const MOST_OFF = 1;

function largest(values) {
  return values.indexOf(Math.max(...values));
}

// Of equal largest values any is the answer.
function sameAnswer(found, expected) {
  return found[largest(expected)] === Math.max(...found) || expected[largest(found)] === Math.max(...expected);
}

async function runCase(folder, name, level) {
  const session = await ort.InferenceSession.create(path.join(folder, name + '.onnx'),
      {graphOptimizationLevel: level, intraOpNumThreads: 1, logSeverityLevel: 3});
  const meta = JSON.parse(fs.readFileSync(path.join(folder, name + '.json')));
  const inputs = fs.readFileSync(path.join(folder, name + '.inputs'));
  const outputs = fs.readFileSync(path.join(folder, name + '.outputs'));
  const inputSize = meta.input.reduce((a, b) => a * b), outputSize = meta.output.reduce((a, b) => a * b);
  const result = {differences: new Map(), same: 0, lead: 0, count: inputs.length / inputSize};
  for (let i = 0; i < result.count; ++i) {
    const data = new Int8Array(inputs.subarray(i * inputSize, (i + 1) * inputSize));
    const feeds = {[session.inputNames[0]]: new ort.Tensor('int8', data, meta.input)};
    const found = Array.from((await session.run(feeds))[session.outputNames[0]].data);
    const expected = Array.from(new Int8Array(outputs.subarray(i * outputSize, (i + 1) * outputSize)));
    if (found.length !== outputSize) throw new Error(name + ': found ' + found.length + ' outputs');
    found.forEach((value, at) => {
      const off = Math.abs(value - expected[at]);
      result.differences.set(off, (result.differences.get(off) || 0) + 1);
    });
    if (sameAnswer(found, expected)) ++result.same;
    else result.lead = Math.max(result.lead, expected[largest(expected)] - expected[largest(found)]);
  }
  await session.release();
  return result;
}

function histogram(differences) {
  const total = [...differences.values()].reduce((a, b) => a + b, 0);
  const share = count => (100 * count / total).toFixed(3) + ' %';
  const shown = [0, 1, 2, 3].filter(off => differences.has(off)).map(off => off + ': ' + share(differences.get(off)));
  const more = [...differences.keys()].filter(off => off > 3);
  if (more.length > 0)
    shown.push('4 to ' + Math.max(...more) + ': ' + share(more.reduce((sum, off) => sum + differences.get(off), 0)));
  return shown.join(', ');
}

async function main() {
  const folder = process.argv[2];
  const names = fs.readdirSync(folder).filter(f => f.endsWith('.onnx')).map(f => f.slice(0, -5)).sort();
  let failed = 0;
  for (const level of ['basic', 'all']) {
    console.log(level === 'basic' ? 'as written (float arithmetic):' : 'fused by ONNX Runtime (integer arithmetic):');
    const kinds = new Map();  // single ops, all cases of an op together
    for (const name of names) {
      const result = await runCase(folder, name, level);
      if (!name.startsWith('op_')) {
        console.log('  ' + name + ': same largest output ' + result.same + ' of ' + result.count +
                    (result.same < result.count ? ' (elsewhere ours leads by up to ' + result.lead + ' steps)' : '') +
                    '; steps off: ' + histogram(result.differences));
        continue;
      }
      const kind = name.split('-')[0];
      const all = kinds.get(kind) || new Map();
      for (const [off, count] of result.differences) all.set(off, (all.get(off) || 0) + count);
      kinds.set(kind, all);
    }
    for (const [kind, differences] of kinds) {
      const off = Math.max(...differences.keys());
      if (level === 'basic' && off > MOST_OFF) ++failed;
      console.log('  ' + kind + ': ' + (off > MOST_OFF ? 'MORE THAN ' + MOST_OFF + ' OFF; ' : '') + 'steps off: ' +
                  histogram(differences));
    }
  }
  if (failed > 0) {
    console.error(failed + ' ops are more than ' + MOST_OFF + ' step off');
    process.exit(1);
  }
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
