/** Builds when `dist/` is missing or older than what it is made from. */
import { changedAt, newest } from './newest.ts';

const inputs = await newest(['package.json', 'src/**', '.build/*.ts']);
if (inputs >= (await changedAt('oclif.manifest.json'))) await import('./build.ts');
