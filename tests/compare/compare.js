// SPDX-License-Identifier: Apache-2.0
// Runs the models that write_cases wrote in other people's runtimes and compares the bytes: compare.js FOLDER
// A case is NAME.onnx, NAME.tflite, NAME.json (shapes), NAME.inputs and NAME.outputs (int8, NHWC, one after another).
// Fails when a single op is off by more than one step, since these runtimes round sums but once. For networks the share
// of inputs with the same largest output is printed, and how many steps outputs are off.
'use strict';

const fs = require('fs');
const path = require('path');
const engines = require('./engines.js');

const MOST_OFF = 1;

function largest(values) {
  return values.indexOf(Math.max(...values));
}

// Of equal largest values any is the answer.
function sameAnswer(found, expected) {
  return found[largest(expected)] === Math.max(...found) || expected[largest(found)] === Math.max(...expected);
}

async function runCase(folder, name, engine) {
  const meta = JSON.parse(fs.readFileSync(path.join(folder, name + '.json')));
  const model = await engine.open(path.join(folder, name + engine.suffix), meta);
  const inputs = fs.readFileSync(path.join(folder, name + '.inputs'));
  const outputs = fs.readFileSync(path.join(folder, name + '.outputs'));
  const inputSize = meta.input.reduce((a, b) => a * b), outputSize = meta.output.reduce((a, b) => a * b);
  const result = {differences: new Map(), same: 0, lead: 0, count: inputs.length / inputSize};
  for (let i = 0; i < result.count; ++i) {
    const found = await model.run(new Int8Array(inputs.subarray(i * inputSize, (i + 1) * inputSize)));
    const expected = Array.from(new Int8Array(outputs.subarray(i * outputSize, (i + 1) * outputSize)));
    if (found.length !== outputSize) throw new Error(name + ': found ' + found.length + ' outputs');
    found.forEach((value, at) => {
      const off = Math.abs(value - expected[at]);
      result.differences.set(off, (result.differences.get(off) || 0) + 1);
    });
    if (sameAnswer(found, expected)) ++result.same;
    else result.lead = Math.max(result.lead, expected[largest(expected)] - expected[largest(found)]);
  }
  await model.close();
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
  let failed = 0;
  for (const engine of engines) {
    console.log(engine.title + ':');
    const names =
        fs.readdirSync(folder).filter(f => f.endsWith(engine.suffix)).map(f => f.slice(0, -engine.suffix.length)).sort();
    const kinds = new Map();  // single ops, all cases of an op together
    for (const name of names) {
      const result = await runCase(folder, name, engine);
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
      if (engine.judged && off > MOST_OFF) ++failed;
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
