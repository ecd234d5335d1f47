#!/usr/bin/env node
// Runs the commands from src/, without a build: for work on mpm-migrate itself.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execute, Plugin } from '@oclif/core';
import { createJiti } from 'jiti';

const root = fileURLToPath(new URL('..', import.meta.url));
const pjson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
pjson.oclif.commands.target = './src/commands';
delete pjson.oclif.hooks;

const jiti = createJiti(root);

class SourcePlugin extends Plugin {
  async findCommand(id) {
    const command = await jiti.import(`./src/commands/${id.replaceAll(':', '/')}.ts`, { default: true });
    return Object.assign(command, { id, plugin: this, isESM: true });
  }
}

const plugin = new SourcePlugin({ ignoreManifest: true, isRoot: true, pjson, root });
await plugin.load();
await execute({ loadOptions: { root, pjson, plugins: [plugin], userPlugins: false, devPlugins: false } });
