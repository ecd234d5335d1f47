import { oneLine } from '../format.ts';

/** What is wrong with a selection of which nobody was touched: the last line of a report. */
export function unmetLine(unmet: string, selection: string): string {
  return `Nothing was done for ${oneLine(selection)}: ${oneLine(unmet)}.`;
}
