import type { FoundMigrations } from '../../dialects/projects.ts';
import type { InitReport } from '../../fleet/verbs/init.ts';
import { count, oneLine, plural } from '../format.ts';
import type { Theme } from '../theme.ts';

type Step = [command: string, what: string];

const CENTRAL: Step = ['mpm-migrate central up', 'creates the central database and its tables'];
const TENANT: Step = ['mpm-migrate tenant create "Acme Ltd"', 'creates a tenant and its database'];
const UP: Step = ['mpm-migrate up --all', 'applies pending migrations to every tenant'];

/** What `init` found and wrote, and what to do next. */
export function initText(report: InitReport, theme: Theme, shortPath: (path: string) => string): string {
  const { good, warn, dim, command, symbols } = theme;
  const { core, others, files } = report;
  const steps = stepsAfter(report);
  const widest = Math.max(...steps.map(([line]) => line.length));
  return [
    ...(core ? foundLines(core, theme) : []),
    ...files.map((file) => `${good(symbols.tick)} ${shortPath(file)}`),
    ...others.map((other) => `${warn(symbols.warning)} ${otherLine(other)}`),
    '',
    'Set central.url in mpm-migrate.config.ts, or MPM_CENTRAL_URL. Then:',
    ...steps.map(([line, what]) => `  ${command(line)}${' '.repeat(widest - line.length)}  ${dim(what)}`),
    '',
  ].join('\n');
}

function stepsAfter({ core, from }: InitReport): Step[] {
  if (!core) return [CENTRAL, TENANT, ['mpm-migrate create add_meters', 'creates the next migration'], UP];
  const record: Step = from
    ? [
        `mpm-migrate baseline --all --from ${from}`,
        `shows what ${core.tool} has applied there; --write records it`,
      ]
    : ['mpm-migrate baseline --all --to NAME', 'shows what would be recorded as applied; --write records it'];
  return [
    ['mpm-migrate doctor', "reads the files, and names what can't be run"],
    CENTRAL,
    ['mpm-migrate tenant adopt "Acme Ltd" --database acme', 'registers a database that exists'],
    record,
    TENANT,
    UP,
  ];
}

function foundLines(core: FoundMigrations, { good, warn, dim, symbols }: Theme): string[] {
  const { migrations, foreign, layout, named } = core;
  const why = named === undefined ? '' : ` (${oneLine(named)})`;
  const lines = [
    `${good(symbols.tick)} Found ${whatIn(core)}${why}: core, as it lies`,
    `    ${dim(oneLine(layout))}`,
  ];
  if (foreign === 0) return lines;
  const what = foreign === migrations ? 'None of them can' : `${count(foreign)} of them can't`;
  return [
    ...lines,
    `${warn(symbols.warning)} ${what} be run here: baseline records them where they are applied, and a new tenant needs the same changes as SQL`,
  ];
}

function otherLine(other: FoundMigrations): string {
  const { folder, unusable } = other;
  return unusable === undefined
    ? `Also found ${whatIn(other)}. To use that folder instead, set migrations.core to '${oneLine(folder)}' in mpm-migrate.config.ts`
    : `Not used: ${whatIn(other)}: ${oneLine(unusable)}`;
}

function whatIn({ migrations, tool, folder }: FoundMigrations): string {
  return `${plural(migrations, 'migration')}${tool === undefined ? '' : ` of ${tool}`} in ${oneLine(folder)}`;
}
