#!/usr/bin/env node
import module from 'node:module';

const argv = process.argv.slice(2);

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v')) {
  // Answered before anything is loaded: it is what scripts and doctors ask most.
  const { name, version } = module.createRequire(import.meta.url)('../package.json');
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  module.enableCompileCache?.();
  const { run } = await import('../dist/cli/main.js');
  await run(argv, import.meta.url);
}
