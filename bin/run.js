#!/usr/bin/env node
// CommonJS, which Node starts faster; and the two commonest questions are answered with nothing loaded.
'use strict';

const { join } = require('node:path');

const root = join(__dirname, '..');
const argv = process.argv.slice(2);
const [question] = argv.length === 0 ? ['--help'] : argv.length === 1 ? argv : [];

if (question === '--version' || question === '-v') {
  const { name, version } = require('../package.json');
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else if (question === '--help' || question === '-h') {
  const text = require('node:fs').readFileSync(join(root, 'dist/help.txt'), 'utf8');
  const colours = process.stdout.isTTY && process.stdout.hasColors();
  process.stdout.write(colours ? text : require('node:util').stripVTControlCharacters(text));
} else {
  require('node:module').enableCompileCache?.();
  void import('../dist/cli/main.js').then(({ run }) => run(argv, root));
}
