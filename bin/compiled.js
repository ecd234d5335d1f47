// Half of a start is V8 compiling what it compiled at the start before.
'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const { homedir } = require('node:os');
const { basename, dirname, join } = require('node:path');
const vm = require('node:vm');

/**
 * Keeps the compiled code of our own files in the user's cache folder, unless NODE_DISABLE_COMPILE_CACHE is set.
 * Node's own cache, which Node 20 does not have, saves only half as much.
 * @param {string} folder whose files have a hash of their content in their names
 * @param {string} version of the package
 */
exports.keepCompiled = (folder, version) => {
  if (process.env.NODE_DISABLE_COMPILE_CACHE) return;
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const cache = join(caches, 'mpm-migrate', version, process.version);
  // Compiled code is run unseen: nobody but the user may have written it.
  const owner = attempt(() => fs.statSync(cache).uid);
  if (owner !== undefined && owner !== process.getuid?.()) return;

  const compile = Module.prototype._compile;
  const missing = new Map();
  Module.prototype._compile = function (source, file, ...more) {
    if (dirname(file) !== folder) return compile.call(this, source, file, ...more);
    const kept = join(cache, basename(file));
    const cachedData = owner === undefined ? undefined : attempt(() => fs.readFileSync(kept));
    const script = new vm.Script(Module.wrap(source), { filename: file, cachedData });
    if (!cachedData || script.cachedDataRejected) missing.set(kept, script);
    const run = script.runInThisContext();
    return run.call(this.exports, this.exports, Module.createRequire(file), this, file, folder);
  };
  // At the end, when the functions that were called are compiled as well.
  process.once('exit', () => {
    // A folder that cannot be written: the next start takes as long as this one.
    if (missing.size) attempt(() => write(cache, missing, folder));
  });
};

function attempt(act) {
  try {
    return act();
  } catch {
    return undefined;
  }
}

/** Whole files or none; and away with those of files that are no more. */
function write(cache, scripts, folder) {
  fs.mkdirSync(cache, { recursive: true, mode: 0o700 });
  for (const [file, script] of scripts) {
    const half = `${file}.${process.pid}`;
    fs.writeFileSync(half, script.createCachedData());
    fs.renameSync(half, file);
  }
  for (const file of fs.readdirSync(cache)) {
    if (!fs.existsSync(join(folder, file))) fs.rmSync(join(cache, file), { force: true });
  }
}
