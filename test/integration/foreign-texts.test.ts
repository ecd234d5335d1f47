import { expect, test } from 'vitest';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { plain } from '../helpers/samples.ts';
import { reportText } from '../../src/ui/report/text.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

test('engine 35: an error of 10 MB costs no more than a short one, and none of its lines is a command', async () => {
  const fleet = await makeFleet(databases, {
    count: 2,
    files: {
      'core/1_long.sql': `do $$ begin raise exception '%', repeat(E'a.a ::x\\n::error file=y::z\\n', 400000)
  using detail = repeat(E'##[error]d\\n', 500000), hint = repeat('h', 5000000); end $$;`,
      'core/2_module.ts': `export async function up() { throw new Error('b.b '.repeat(2_500_000)); }\n`,
    },
  });
  await fleet.central(`update companies set name = E'\\u202e::error::evil\\nINJECTED' where id = 2`);
  const report = await up(fleet.config, { all: true });
  const text = reportText(report, plain(0));
  expect(report.counts.failed).toBe(2);
  expect(JSON.stringify(report).length).toBeLessThan(60_000);
  expect(text.length).toBeLessThan(30_000);
  expect(text).not.toMatch(/^\s*::|##\[|\u202e|^INJECTED/m);
  expect(text).toMatch(/characters more\)/);
  const [failed] = await fleet.central<{ size: number }>(
    'select max(octet_length(t::text)) as size from mpm_migrate.run_tenants t',
  );
  expect(failed?.size).toBeLessThan(60_000);

  await fleet.write({ 'core/1_long.sql': 'select 1;' });
  const second = await up(fleet.config, { all: true });
  expect(JSON.stringify(second).length).toBeLessThan(30_000);
  expect(second.failures[0]?.error.message).toMatch(/^(?:b\.b )+.*characters more\)$/);
  expect(JSON.stringify(await status(fleet.config, { all: true })).length).toBeLessThan(30_000);
});
