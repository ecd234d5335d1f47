#!/usr/bin/env node
// Runs the commands from src/, without a build: for work on mpm-migrate itself.
import 'jiti/register';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { execute, Plugin, settings } from '@oclif/core';

const root = fileURLToPath(new URL('..', import.meta.url));
const pjson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
pjson.oclif.commands.target = './src/commands';
pjson.oclif.hooks.command_not_found = './src/cli/did-you-mean.ts';
settings.enableAutoTranspile = false;

const plugin = new Plugin({ ignoreManifest: true, isRoot: true, pjson, root });
await plugin.load();
await execute({ loadOptions: { root, pjson, plugins: [plugin], userPlugins: false, devPlugins: false } });
