import { MpmError } from '../errors.ts';
import type { ToolHistory } from '../dialects/read-tool.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { compareIds } from './report/report.ts';
import { idWord } from '../shell-word.ts';

const SHOWN = 5;

/** Where tenants stand whose tool's migrations are not files: all must stand at the same, or one of ours says nothing of them. */
export class ToolHeads {
  readonly #tool: string;
  readonly #heads = new Map<string, { text: string; ids: string[] }>();

  constructor(tool: string) {
    this.#tool = tool;
  }

  add({ applied }: ToolHistory, { id }: Pick<Tenant, 'id'>): void {
    const head = this.#heads.get(keyOf(applied)) ?? { text: textOf(applied), ids: [] };
    this.#heads.set(keyOf(applied), head);
    head.ids.push(id);
  }

  /** @throws MpmError ADOPTION where there are several, or nothing is applied */
  requireOne(): void {
    if (this.#heads.size < 2) return;
    const heads = [...this.#heads.values()].toSorted(
      (a, b) => b.ids.length - a.ids.length || (a.text < b.text ? -1 : 1),
    );
    const lines = heads.slice(0, SHOWN).map(({ text, ids }) => `${text} at ${idsText(ids)}`);
    const more = heads.length > SHOWN ? `; and ${heads.length - SHOWN} more` : '';
    throw new MpmError('ADOPTION', `${this.#tool} is not at one head: ${lines.join('; ')}${more}`, {
      aftermath: 'nothing was recorded',
      hint: `Let ${this.#tool} migrate all of them first, or name those at one head with --tenant.`,
    });
  }

  /** @throws MpmError ADOPTION where this tenant is at another head than the rest, or nothing is applied */
  require(history: ToolHistory, tenant: Pick<Tenant, 'id'>): void {
    if (history.applied.length === 0) {
      throw new MpmError('ADOPTION', `${this.#tool} has applied nothing here`, {
        hint: 'If its schema is that of NAME: mpm-migrate baseline --tenant {tenant} --to NAME',
      });
    }
    this.add(history, tenant);
    this.requireOne();
  }
}

function keyOf(applied: ToolHistory['applied']): string {
  return JSON.stringify(applied.map((each) => each.applied).toSorted());
}

function textOf(applied: ToolHistory['applied']): string {
  const last = applied
    .map((each) => each.applied)
    .toSorted()
    .at(-1);
  return last === undefined ? 'nothing' : `${last} (${applied.length} applied)`;
}

function idsText(ids: readonly string[]): string {
  const shown = ids.toSorted(compareIds).slice(0, SHOWN).map(idWord).join(', ');
  return ids.length > SHOWN ? `${shown} and ${ids.length - SHOWN} more` : shown;
}
