#!/usr/bin/env node
// CommonJS, which Node starts faster; and the two commonest questions are answered with nothing loaded.
'use strict';

const { join } = require('node:path');

const root = join(__dirname, '..');
const argv = process.argv.slice(2);
const [question] = argv.length === 0 ? ['--help'] : argv.length === 1 ? argv : [];

if (question) {
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`✖ Standard output cannot be written: ${error.message}\n`);
    process.exitCode = 1;
  });
}
if (question === '--version' || question === '-v') {
  const { name, version } = require('../package.json');
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else if (['--help', '-h', 'help'].includes(question)) {
  const text = require('node:fs').readFileSync(join(root, 'dist/help.txt'), 'utf8');
  const colours = process.stdout.isTTY && process.stdout.hasColors();
  process.stdout.write(colours ? text : require('node:util').stripVTControlCharacters(text));
} else {
  const { version } = require('../package.json');
  require('./compiled.js').keepCompiled(join(root, 'dist/chunks'), version);
  void require('../dist/cli/main.js').run(argv, root);
}
