// SPDX-License-Identifier: Apache-2.0
// Writes inputs of MLPerf Tiny's models as raw int8, NHWC, from packed data sets: inputs.js DATA_FOLDER OUT_FOLDER
// kws_dscnn_int8.bin: 1,000 MFCC vectors; ic_resnet8_int8.bin: 200 images of CIFAR-10's fifth training batch.
'use strict';

const {execFileSync} = require('child_process');
const fs = require('fs');
const path = require('path');

const [data, out] = process.argv.slice(2);
const unpacked = file => execFileSync('xz', ['-dc', path.join(data, file)], {maxBuffer: 1 << 26});

function write(name, file, convert) {
  if (fs.existsSync(path.join(data, file))) fs.writeFileSync(path.join(out, name), convert(unpacked(file)));
}

// Records of a label byte and 49x10 int8.
write('kws_dscnn_int8.bin', 'speech-commands/kws01_mfcc_1000x49x10_i8.bin.xz', records => {
  const vectors = Buffer.alloc(1000 * 490);
  for (let i = 0; i < 1000; ++i) records.copy(vectors, i * 490, i * 491 + 1, (i + 1) * 491);
  return vectors;
});

// Records of a label byte and three planes of 32x32 bytes.
write('ic_resnet8_int8.bin', 'cifar10/data_batch_5.bin.xz', records => {
  const images = Buffer.alloc(200 * 3072);
  for (let i = 0; i < 200; ++i)
    for (let pixel = 0; pixel < 1024; ++pixel)
      for (let c = 0; c < 3; ++c)
        images.writeInt8(records[i * 3073 + 1 + c * 1024 + pixel] - 128, i * 3072 + pixel * 3 + c);
  return images;
});
