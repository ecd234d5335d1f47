import { type Command, CommandHelp, Help, type Interfaces } from '@oclif/core';
import { EXIT_MEANING } from '../errors.ts';

/** The order in which a newcomer meets the commands; what is in no group comes last. */
const GROUPS: readonly [title: string, ids: readonly string[]][] = [
  ['START', ['init', 'demo', 'doctor']],
  ['WRITE MIGRATIONS', ['create', 'sync', 'lint', 'check']],
  ['MIGRATE', ['plan', 'rehearse', 'up', 'down', 'status', 'verify', 'gate']],
  ['REPAIR', ['resolve', 'repair', 'baseline', 'fresh', 'exec']],
  ['MANAGE', ['tenant', 'plugin', 'run', 'central']],
];

const ENVIRONMENT: [name: string, meaning: string][] = [
  ['MPM_CENTRAL_URL', 'URL of the central database; enough to start'],
  ['MPM_CONFIG', 'configuration file, like --config'],
  ['MPM_*', 'defaults for other flags, such as MPM_CONCURRENCY'],
  ['MPM_ACTOR', 'your name for the history, like --actor'],
  ['PG*, .pgpass', 'as in psql'],
  ['NO_COLOR, FORCE_COLOR', 'disable or force color'],
];

/** What `help` explains besides commands. */
const PAGES = ['environment', 'flags'];

/** Groups of flags that many commands share, in the order in which they are listed. */
const SHARED_FLAGS: readonly (readonly string[])[] = [['selection'], ['pace'], ['output', 'global']];

function isShared(flag: Command.Flag.Any): boolean {
  return SHARED_FLAGS.flat().includes(flag.helpGroup ?? '');
}

/** A command's help on one screen: its own flags with a line each, those that it shares by name. */
class FleetCommandHelp extends CommandHelp {
  // Every flag has its line below; a synopsis of twenty of them is not read.
  protected override defaultUsage(): string {
    const args = Object.values(this.command.args ?? {}).filter(({ hidden }) => !hidden);
    return [this.command.id, ...args.map((arg) => this.arg(arg)), '[FLAGS]'].join(' ');
  }

  /** The summary stands at the top of the help already; line ends of the source are no line ends of the text. */
  protected override description(): string | undefined {
    const { description } = this.command;
    return description && this.wrap(description.replaceAll(/(?<!\n)\n(?!\n)/g, ' '));
  }

  protected override examples(examples: Command.Example[] | string | undefined): string | undefined {
    return super.examples(examples)?.replaceAll('\n\n', '\n');
  }

  protected override flagHelpLabel(flag: Command.Flag.Any, showOptions?: boolean): string {
    return flag.helpLabel ?? super.flagHelpLabel(flag, showOptions);
  }

  protected override groupFlags(flags: Command.Flag.Any[]) {
    return { mainFlags: flags.filter((flag) => !isShared(flag)), flagGroups: {} };
  }

  protected override sections() {
    const sections = super.sections();
    const at = sections.findIndex(({ header }) => header === 'FLAGS') + 1;
    const shared = ({ flags }: { flags: Command.Flag.Any[] }) => this.sharedFlags(flags);
    return [
      ...sections.slice(0, at),
      { header: `SHARED FLAGS (${this.config.bin} help flags)`, generate: shared },
      ...sections.slice(at),
    ];
  }

  private sharedFlags(flags: Command.Flag.Any[]): string {
    const lines = SHARED_FLAGS.map((groups) => groups.flatMap((group) => named(flags, group)).join(' '));
    return lines.filter(Boolean).join('\n');
  }

  /** What `help flags` says. */
  flagsPage(): string {
    const flags = Object.values(this.command.flags);
    return SHARED_FLAGS.flat()
      .map((group) => {
        const body = this.flags(flags.filter(({ helpGroup }) => helpGroup === group));
        return this.section(`${group.toUpperCase()} FLAGS`, body ?? '');
      })
      .join('\n\n');
  }
}

function named(flags: Command.Flag.Any[], group: string): string[] {
  return flags.filter(({ helpGroup }) => helpGroup === group).map(({ name }) => `--${name}`);
}

/** The help: a command or a topic on one screen; exit codes and environment by themselves. */
export default class FleetHelp extends Help {
  protected override CommandHelpClass = FleetCommandHelp;

  constructor(config: Interfaces.Config, options: Partial<Interfaces.HelpOptions> = {}) {
    super(config, { ...options, flagSortOrder: 'none' });
  }

  override formatRoot(): string {
    const { config } = this;
    return [
      config.pjson.description ?? '',
      this.section('USAGE', `$ ${config.bin} COMMAND [FLAGS]\n$ ${config.bin} COMMAND --help`),
      ...this.commandSections(),
      this.section(
        `EXIT CODES AND ENVIRONMENT (${config.bin} help environment)`,
        `0 done, 1 failed, 2 usage, 3 tenants failed, 4 findings, 5 busy, 130 stopped\n${ENVIRONMENT.map(([name]) => name).join(' ')}`,
      ),
    ].join('\n\n');
  }

  override async showRootHelp(): Promise<void> {
    this.log(this.formatRoot());
  }

  override async showHelp(argv: string[]): Promise<void> {
    const page = PAGES.find((name) => name === argv[0]);
    if (!page) return super.showHelp(argv);
    this.log(page === 'flags' ? this.flagsPage() : `${this.exitCodes()}\n\n${this.environment()}`);
  }

  private flagsPage(): string {
    const up = this.config.findCommand('up', { must: true });
    return new FleetCommandHelp(up, this.config, this.opts).flagsPage();
  }

  private commandSections(): string[] {
    const commands = this.sortedCommands.filter(({ id }) => id && !id.includes(':'));
    const topics = this.sortedTopics.map(({ name, description }) => ({ id: name, summary: description }));
    const rows = [...commands, ...topics.filter(({ id }) => !id.includes(':'))];
    const grouped = GROUPS.map(([title, ids]) => ({
      title,
      found: ids.flatMap((wanted) => rows.filter(({ id }) => id === wanted)),
    }));
    const known = new Set(grouped.flatMap(({ found }) => found.map(({ id }) => id)));
    const all = [...grouped, { title: 'MORE', found: rows.filter(({ id }) => !known.has(id)) }];
    const widest = Math.max(0, ...rows.map(({ id }) => id.length));
    return all
      .filter(({ found }) => found.length > 0)
      .map(({ title, found }) =>
        this.section(
          title,
          found.map(({ id, summary = '' }) => `${id.padEnd(widest)}  ${this.render(summary)}`).join('\n'),
        ),
      );
  }

  private exitCodes(): string {
    const rows = Object.entries(EXIT_MEANING).map(([code, meaning]): [string, string] => [code, meaning]);
    return this.section('EXIT CODES', this.rows(rows));
  }

  private environment(): string {
    return this.section('ENVIRONMENT', this.rows(ENVIRONMENT));
  }

  private rows(rows: [string, string][]): string {
    return this.renderList(rows, { indentation: 2, spacer: '\n', stripAnsi: false });
  }
}
