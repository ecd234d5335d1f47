import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const ROOT = join(import.meta.dirname, '../..');

test('fleet 20: the code of docs/library.md runs, and prints what it says', { timeout: 60_000 }, async () => {
  const markdown = await readFile(join(ROOT, 'docs/library.md'), 'utf8');
  const [code = ''] = [...markdown.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
  const said = [...code.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1]);
  expect(said.length).toBeGreaterThan(5);

  const fleet = await makeFleet(databases, { count: 0 });
  await fleet.central(`create function map_user() returns trigger language plpgsql as $$ begin
  insert into database_proxies (email, fk_company_id) values ('amina@acme.example', new.id); return new; end $$;
create trigger map_user after insert on companies for each row execute function map_user()`);
  const names = { CENTRAL_URL: fleet.config.central.url, CORE: fleet.config.migrations.core };
  const prelude = Object.entries(names).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};\n`);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', prelude.join('') + code],
    { cwd: ROOT },
  ).finally(async () => {
    const made = await fleet.central<{ name: string }>('select database_name as name from company_databases');
    for (const { name } of made) databases.adopt(name);
  });
  expect(stdout.trim().split('\n').sort()).toEqual(said.toSorted());
});
