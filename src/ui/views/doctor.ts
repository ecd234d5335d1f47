import type { Finding } from '../../fleet/doctor/findings.ts';
import type { DoctorReport } from '../../fleet/doctor/doctor.ts';
import { oneLine, plural } from '../format.ts';
import type { Theme } from '../theme.ts';

/** What doctor found, a line each with its remedy below, and how much of it is wrong. */
export function doctorText({ findings, warnings, errors }: DoctorReport, theme: Theme): string {
  const { symbols, good, warn, bad, dim } = theme;
  const mark = { ok: good(symbols.tick), warning: warn(symbols.warning), error: bad(symbols.cross) };
  const width = Math.max(...findings.map(({ about }) => about.length));
  const lines = findings.flatMap(({ about, level, message, remedy, problems }: Finding) => {
    const [first = '', ...rest] = problems ? message.split('\n') : [message];
    return [
      `${mark[level]} ${dim(about.padEnd(width))}  ${level === 'ok' ? '' : `${level}: `}${oneLine(first)}`,
      ...rest.map((line) => `${' '.repeat(width + 4)}${/^ */.exec(line)?.[0] ?? ''}${oneLine(line)}`),
      ...(remedy ? [`${' '.repeat(width + 4)}${oneLine(remedy)}`] : []),
    ];
  });
  const parts = [errors ? plural(errors, 'error') : '', warnings ? plural(warnings, 'warning') : ''].filter(
    Boolean,
  );
  const last = parts.length
    ? `${errors ? mark.error : mark.warning} ${parts.join(', ')}`
    : `${mark.ok} no problems found`;
  return `${[...lines, '', last].join('\n')}\n`;
}
