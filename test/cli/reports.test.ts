import { readFile, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cli, startCli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { junitProblems } from '../helpers/junit.ts';

const databases = withDatabases();

interface Project {
  fleet: TestFleet;
  mpm(...args: string[]): ReturnType<typeof cli>;
  read(file: string): Promise<string>;
}

async function project(options: Parameters<typeof makeFleet>[1]): Promise<Project> {
  const fleet = await makeFleet(databases, options);
  const content = { central: fleet.config.central, migrations: { core: 'core', tenants: 'tenants' } };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  return {
    fleet,
    mpm: (...args) => cli(args, { cwd: fleet.config.root }),
    read: (file) => readFile(join(fleet.config.root, file), 'utf8'),
  };
}

/** One tenant of four fails, with characters in its message that XML does not know. */
const files = {
  'core/1_meters.sql': 'create table meters (id int primary key);',
  'core/2_note.sql': `do $$ begin
  if current_database() like '%_c3' then raise exception E'no <meters> & no "notes" here: \\x1b[31m'; end if;
end $$;`,
};

interface Line {
  schema?: number;
  type: string;
  result?: { outcome: string; tenant: { id: string } };
}

function lines(text: string): Line[] {
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

test('--events FILE: one document a line, the schema in the first; the report stays on stdout', async () => {
  const { mpm, read } = await project({ count: 4, files });
  const { code, stdout } = await mpm('up', '--all', '--events', 'events.ndjson');
  expect(code).toBe(3);
  expect(stdout).toContain('✔ 3 migrated   ✖ 1 failed');
  const events = lines(await read('events.ndjson'));
  expect(events[0]).toMatchObject({ schema: 1, type: 'run-started', verb: 'up', run: 1, total: 4 });
  expect(events.slice(1).some((event) => 'schema' in event)).toBe(false);
  expect(events.at(-1)).toMatchObject({
    type: 'run-finished',
    report: { counts: { migrated: 3, failed: 1 } },
  });
  const ended = events
    .filter(({ type }) => type === 'tenant-finished')
    .map(({ result }) => result?.tenant.id);
  expect(ended.toSorted()).toEqual(['1', '2', '3', '4']);
});

test('--events -: stdout is the events alone, the text goes to stderr; what a migration prints is not among them', async () => {
  const { mpm } = await project({
    count: 2,
    files: { 'core/1_a.mjs': 'export async function up() { console.log("from a migration"); }' },
  });
  const { code, stdout, stderr } = await mpm('up', '--all', '--events', '-');
  expect(code).toBe(0);
  expect(lines(stdout).at(-1)).toMatchObject({ type: 'run-finished' });
  expect(stdout).not.toContain('from a migration');
  expect(stderr).toContain('from a migration');
  expect(stderr).toContain('✔ 2 migrated');

  const looked = await mpm('status', '--events', '-');
  expect(lines(looked.stdout)[0]).toMatchObject({ schema: 1, type: 'run-started', verb: 'status' });
  expect(looked.stderr).toContain('✔ 2 current');
});

test('--events - into a pipe that closes after one line: the run goes on to its end', async () => {
  const { fleet, mpm } = await project({
    count: 3,
    files: { 'core/1_a.sql': 'select pg_sleep(0.3); create table a ();' },
  });
  const { child, result } = await startCli(['up', '--all', '--events', '-', '--concurrency', '1'], {
    cwd: fleet.config.root,
  });
  for await (const line of createInterface({ input: child.stdout })) {
    expect(JSON.parse(line)).toMatchObject({ schema: 1 });
    break;
  }
  child.stdout.destroy();
  const { code, stderr } = await result.catch(async () => ({ code: await ended(child), stderr: '' }));
  expect(code).toBe(0);
  expect(stderr).not.toContain('EPIPE');
  const status = await mpm('status', '--all', '--exit-code');
  expect(status.code).toBe(0);
});

async function ended(child: { exitCode: number | null }): Promise<number | null> {
  while (child.exitCode === null) await sleep(20);
  return child.exitCode;
}

test('kill -9 in the middle: the events written so far are whole lines', async () => {
  const { fleet, read } = await project({
    count: 8,
    files: { 'core/1_a.sql': 'select pg_sleep(0.2); create table a ();' },
  });
  const { child, result } = await startCli(
    ['up', '--all', '--events', 'events.ndjson', '--concurrency', '2'],
    { cwd: fleet.config.root },
  );
  while (!(await read('events.ndjson').catch(() => '')).includes('tenant-finished')) await sleep(20);
  child.kill('SIGKILL');
  await result;
  const events = lines(await read('events.ndjson'));
  expect(events.map(({ type }) => type)).not.toContain('run-finished');
});

test('--report junit: a suite per server, a case per tenant; valid by the schema of Ant', async () => {
  const { fleet, mpm, read } = await project({ count: 4, files });
  await fleet.central("update companies set name = E'<b>\\x07&co' where id = 2");
  const { code } = await mpm('up', '--all', '--report', 'junit=junit.xml');
  expect(code).toBe(3);
  const xml = await read('junit.xml');
  expect(await junitProblems(xml)).toEqual([]);
  expect(xml).toMatch(
    /<testsuite name="mpm-migrate up on default" [^>]*tests="4" failures="1" errors="0" skipped="0"/,
  );
  expect(xml).toContain('<testcase name="company-1" classname="mpm-migrate up on default"');
  expect(xml).toContain(String.raw`no &lt;meters&gt; &amp; no &quot;notes&quot; here: \x1b[31m`);
  expect(xml).toContain('core/2_note.sql:');
});

test('--report html and json, several at once; each has every tenant', async () => {
  const { mpm, read } = await project({ count: 4, files });
  const reports = ['--report', 'html=report.html', '--report', 'json=report.json'];
  const { code, stdout } = await mpm('up', '--all', ...reports);
  expect(code).toBe(3);
  expect(stdout).toContain('1 failed');
  const html = await read('report.html');
  expect(html.match(/<li class="tile (migrated|failed)"/g)).toHaveLength(4);
  expect(html).toContain('1 tenant of 4 failed');
  expect(html).toContain('raise exception');
  // Nothing is asked for from elsewhere, and nothing of a message becomes markup.
  expect(html).not.toMatch(/<(script|link|img|iframe)|\b(src|href)=|url\(|@import|<meters>/);
  const report = JSON.parse(await read('report.json')) as { tenants: unknown[] };
  expect(report).toMatchObject({ run: 1, counts: { migrated: 3, failed: 1 } });
  expect(report.tenants).toHaveLength(4);
});

test('what was not tried is skipped in every report; a run without tenants has one too', async () => {
  const { mpm, read } = await project({ count: 4, files });
  await mpm(
    'up',
    '--tenant',
    '3',
    '--tenant',
    '4',
    '--concurrency',
    '1',
    '--fail-fast',
    '--report',
    'junit=a.xml',
  );
  const xml = await read('a.xml');
  expect(await junitProblems(xml)).toEqual([]);
  expect(xml).toContain('<skipped message="not tried: too many had failed"/>');
  const none = await mpm(
    'up',
    '--all',
    '--label',
    'a=b',
    '--report',
    'junit=b.xml',
    '--report',
    'html=b.html',
  );
  expect(none.code).toBe(4);
  expect(await junitProblems(await read('b.xml'))).toEqual([]);
  expect(await read('b.html')).toContain('nothing to do');
});

test('usage: an unknown kind, an unwritable path, a file named twice, - with --json; nothing was touched', async () => {
  const { fleet, mpm } = await project({ count: 1 });
  for (const [args, said] of [
    [['--report', 'pdf=a.pdf'], '--report pdf=a.pdf: no such kind of report'],
    [['--report', 'junit='], 'no file'],
    [['--report', 'junit=missing/a.xml'], '--report junit=missing/a.xml cannot be written'],
    [['--report', 'junit=a', '--report', 'html=./a'], 'a is to be written twice'],
    [['--events', 'missing/a'], '--events missing/a cannot be written'],
    [['--events', '-', '--json'], '--events - and --json both want stdout'],
    [['--report', 'json=-', '--json'], '--report json=- and --json both want stdout'],
    [['--report', 'json=-', '--report', 'junit=-'], '--report json=- and --report junit=- both want stdout'],
  ] as const) {
    const { code, stdout, stderr } = await mpm('up', '--all', ...args);
    expect(code).toBe(2);
    expect(stdout + stderr).toContain(said);
  }
  expect(await fleet.central('select * from mpm_migrate.runs')).toEqual([]);
});

test('a run that cannot begin leaves no file that looks like a report', async () => {
  const { fleet, mpm } = await project({ count: 1 });
  await writeFile(join(fleet.config.root, 'old.xml'), 'of another run');
  const { code } = await mpm('up', '--all', '--to', '99', '--report', 'junit=old.xml');
  expect(code).toBe(2);
  await expect(stat(join(fleet.config.root, 'old.xml'))).rejects.toThrow('ENOENT');
});

test('fleet 48: - is stdout for a report too; what people read goes to stderr', async () => {
  const { fleet, mpm } = await project({ count: 2 });
  const { code, stdout, stderr } = await mpm('up', '--all', '--report', 'json=-');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ verb: 'up', counts: { migrated: 2 } });
  expect(stderr).toContain('2 migrated');
  await expect(stat(join(fleet.config.root, '-'))).rejects.toThrow('ENOENT');
});

test('confidence 10: run show writes the report of a run of the past', async () => {
  const { mpm, read } = await project({ count: 4, files });
  await mpm('up', '--all', '--report', 'json=then.json');
  const { code } = await mpm('run', 'show', '1', '--report', 'html=now.html', '--report', 'json=now.json');
  expect(code).toBe(0);
  const [then, now] = (await Promise.all(['then.json', 'now.json'].map(read))).map(
    (text) => JSON.parse(text) as Record<string, unknown> & { tenants: { tenant: { id: string } }[] },
  );
  expect(now?.['counts']).toEqual(then?.['counts']);
  expect(now?.['failures']).toEqual(then?.['failures']);
  const ids = (report: typeof now) => report?.tenants.map(({ tenant }) => tenant.id).toSorted();
  expect(ids(now)).toEqual(ids(then));
  const html = await read('now.html');
  expect(html.match(/<li class="tile (migrated|failed)"/g)).toHaveLength(4);
  expect(html).toContain('1 tenant of 4 failed');
  expect(html).toContain('<title>mpm-migrate up --all (run 1)</title>');
});

test('confidence 10: the report of a run that lasts is refused, and one that was killed says what it lacks', async () => {
  const { fleet, mpm, read } = await project({ count: 2 });
  await mpm('up', '--all');
  await fleet.central(`delete from mpm_migrate.run_tenants where tenant_id = '2';
    update mpm_migrate.runs set outcome = 'running', finished_at = null, seen_at = now(), host = 'elsewhere'`);
  const lasting = await mpm('run', 'show', '1', '--report', 'html=run.html');
  expect(lasting).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('still in progress, on elsewhere'),
  });
  await expect(stat(join(fleet.config.root, 'run.html'))).rejects.toMatchObject({ code: 'ENOENT' });
  await fleet.central("update mpm_migrate.runs set seen_at = now() - interval '1 h'");
  expect((await mpm('run', 'show', '1', '--report', 'html=run.html')).code).toBe(0);
  const html = await read('run.html');
  expect(html).toContain('Interrupted');
  expect(html).toContain('1 of 2 tenants have no result');
});

test('confidence 10: status writes the fleet as a page: cohorts, who needs a look, the last runs', async () => {
  const { fleet, mpm, read } = await project({ count: 4, files });
  await mpm('up', '--all');
  await fleet.central("update companies set name = '<script>alert(1)</script>' where id = 1");
  await mpm('tenant', 'hold', '2', '--reason', 'asked & <b>paid</b>');
  await fleet.central("update company_databases set database_name = 'nowhere' where company_id = 4");
  const { code } = await mpm('status', '--report', 'html=fleet.html');
  expect(code).toBe(3);
  const html = await read('fleet.html');
  expect(html).not.toMatch(/<(script|link|img|iframe|b>paid)|\b(src|href)=|url\(|@import/);
  expect(html).toContain('1 pending, 1 unreachable of 4 tenants');
  expect(html).toContain('asked &amp; &lt;b&gt;paid');
  expect(html).toContain('&lt;script&gt;alert(1)');
  expect(html.match(/<li class="tile (current|pending|failed|skipped)"/g)).toHaveLength(4);
  expect(html).toContain('<td>up --all</td><td>failed</td>');
  const other = await mpm('status', '--report', 'junit=fleet.xml');
  expect(other).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--report html=FILE; - is stdout'),
  });
});
