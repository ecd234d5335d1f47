// Runs commands one after the other in one process, each through bin/run.js: cli.ts. A command is over when nothing keeps
// the process going, as it would be of itself; one that ends the process ends this one, too.
'use strict';

const { Readable } = require('node:stream');
const { join, sep } = require('node:path');

const root = join(__dirname, '../..');
const bin = join(root, 'bin/run.js');
/** What ends what a command wrote on a stream; whoever starts this knows it. */
const end = `\0${process.argv[2]}`;
const own = new Set();
let running = false;

// A package (graceful-fs) would put one there that remembers the folder of the command before.
const { cwd: folder } = process;
Object.defineProperty(process, 'cwd', { configurable: true, get: () => folder, set() {} });

process.on('message', ({ args, cwd, env, input }) => {
  process.chdir(cwd);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.argv = [process.execPath, bin, ...args];
  process.exitCode = undefined;
  const stdin = Readable.from(input.length > 0 ? [Buffer.from(input, 'base64')] : []);
  Object.defineProperty(process, 'stdin', { configurable: true, get: () => stdin });
  for (const listener of process.rawListeners('exit')) own.add(listener);
  running = true;
  process.channel.unref();
  require(bin);
});

process.on('beforeExit', () => {
  if (!running) return;
  running = false;
  // Kept until the next command has loaded what it shares with this one, they would be the next one's.
  for (const listener of process.rawListeners('exit')) {
    if (own.has(listener)) continue;
    process.removeListener('exit', listener);
    listener.call(process, process.exitCode ?? 0);
  }
  // What a test wrote, it may write again.
  for (const file of Object.keys(require.cache)) {
    if (file === bin || !file.startsWith(root + sep)) delete require.cache[file];
  }
  // Set aside under --json, and given back only by who prints a document.
  for (const stream of [process.stdout, process.stderr]) {
    delete stream.write;
    stream.removeAllListeners('drain');
  }
  // The test removes its own.
  process.chdir(root);
  process.channel.ref();
  const code = Number(process.exitCode ?? 0);
  for (const stream of [process.stdout, process.stderr]) stream.write(end);
  process.send({ code });
});

process.on('disconnect', () => process.exit());
