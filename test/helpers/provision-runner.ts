/** Creates a tenant, or resumes one, in a process of its own: `central-url core-folder name|--resume id [replay]`. */
import { provision, resumeProvision } from '../../src/tenant/provision.ts';
import { configOf } from './central.ts';

const [centralUrl = '', core = '', name = '', id, how] = process.argv.slice(2);
const config = configOf(centralUrl);
config.migrations.core = core;
config.templates = how !== 'replay';
try {
  const work = name === '--resume' ? resumeProvision(config, id ?? '') : provision(config, { name });
  process.stdout.write(`${JSON.stringify((await work).tenant)}\n`);
} catch (error) {
  process.stdout.write(`${String(error)}\n`);
  process.exitCode = 1;
}
