import type { ImpactGroup, ImpactReport, ServerImpact } from '../../fleet/report/impact-report.ts';
import { sizeText } from '../../size.ts';
import { count, oneLine, plural } from '../format.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

const MOST_GROUPS = 50;
/** So many of those over 1 GB are named. */
const NAMED = 3;

/** What pending migrations do to tables: a statement, and below it the tables; what can't be known; servers. */
export function impactBlocks({ groups, others, unknown, servers }: ImpactReport, theme: Theme): string[][] {
  const shown = groups.slice(0, MOST_GROUPS);
  const more = groups.slice(MOST_GROUPS).length + others;
  const warning = theme.warn(theme.symbols.warning);
  const lines = shown.flatMap((group, at) => {
    const before = shown[at - 1];
    const isSame = before?.migration === group.migration && before.statement === group.statement;
    const title = `${theme.strong(oneLine(group.migration))}: ${oneLine(group.statement)}`;
    return [...(isSame ? [] : [title]), `    ${actionOf(group)}: ${sizesOf(group)}`];
  });
  return [
    [
      ...lines,
      ...(more > 0
        ? [theme.dim(`${theme.symbols.ellipsis} ${count(more)} more: use --json to list them`)]
        : []),
    ],
    unknown
      .slice(0, MOST_GROUPS)
      .map(
        (each) =>
          `${warning} ${oneLine(each.migration)}: not known what it does: ${oneLine(each.what)} (${plural(each.count, 'tenant')})`,
      ),
    servers.filter(({ rewritten, more: isMore }) => rewritten > 0 || isMore).map(serverLine),
  ];
}

function actionOf({ table, lock, rewrites, scans }: ImpactGroup): string {
  const name = oneLine(table);
  if (rewrites === 'yes') return `rewrites ${name} under ${lock}`;
  if (rewrites === 'unknown') return `may rewrite ${name} under ${lock}`;
  if (scans === 'yes') return `reads all of ${name} under ${lock}`;
  if (scans === 'unknown') return `may read all of ${name} under ${lock}`;
  return `${lock} on ${name}`;
}

/** `1,180 tenants under 10 MB, 17 to 1 GB, 3 over: kivu-grid 14 GB`. */
function sizesOf({ count: total, sizes, largest }: ImpactGroup): string {
  const [only] = largest;
  if (total === 1 && only) return `${tenantName(only.tenant)} ${sizeText(only.bytes)}`;
  const { small, medium, large } = sizes;
  const parts = [
    ...(small ? [`${count(small)} under 10 MB`] : []),
    ...(medium ? [`${count(medium)} to 1 GB`] : []),
    ...(large ? [`${count(large)} over`] : []),
  ];
  const [first = '', ...rest] = parts;
  const said = [
    first.replace(/^[\d,]+/, (number) => `${number} ${number === '1' ? 'tenant' : 'tenants'}`),
    ...rest,
  ];
  const named = largest.slice(0, large ? Math.min(large, NAMED) : 1);
  const names = named.map(({ tenant, bytes }) => `${tenantName(tenant)} ${sizeText(bytes)}`);
  return `${said.join(', ')}: ${names.join(', ')}${large ? '' : ' at most'}`;
}

function serverLine({ server, rewritten, concurrency, disk, more }: ServerImpact): string {
  const least = more ? 'at least ' : '';
  return `${oneLine(server)}: rewrites ${least}${sizeText(rewritten)}, and needs ${least}${sizeText(disk)} more disk at ${count(concurrency)} at once`;
}
