#!/usr/bin/env node
// Runs the commands from src/, without a build: for work on mpm-migrate itself.
'use strict';

const { join } = require('node:path');
const { execute, Plugin } = require('@oclif/core');
const { createJiti } = require('jiti');
const pjson = require('../package.json');

const root = join(__dirname, '..');
const jiti = createJiti(join(root, 'src/'));
pjson.oclif.commands.target = './src/cli/commands';
pjson.oclif.helpClass = './src/cli/help.ts';
delete pjson.oclif.hooks;

class SourcePlugin extends Plugin {
  async findCommand(id) {
    const command = await jiti.import(`./cli/commands/${id.replaceAll(':', '/')}.ts`, { default: true });
    return Object.assign(command, { id, plugin: this, isESM: true });
  }
}

async function main() {
  // For what oclif itself imports: the help.
  await import('jiti/register');
  const plugin = new SourcePlugin({ ignoreManifest: true, isRoot: true, pjson, root });
  await plugin.load();
  await execute({ loadOptions: { root, pjson, plugins: [plugin], userPlugins: false, devPlugins: false } });
}

void main();
