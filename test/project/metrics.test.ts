/** What is told of metrics outside the code is held against a server's own answer. */
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { isObject } from '../../shared/json.js';
import { useJson, useServer } from '../support/use.js';
import { read } from './sources.js';

interface Series {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly help: string;
}

/** Those of a server where somebody has been, over a socket and over HTTP. */
async function seriesOfServer(): Promise<Series[]> {
  const server = await useServer();
  await useJson(server, 'anna', 'phone');
  await (await fetch(`${server.url}/api/sync/anna`)).text();
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return [...text.matchAll(/^# HELP (\S+) (.+)\n# TYPE \S+ (\S+)\n(.*)$/gm)].map(
    ([, name = '', help = '', type = '', first = '']) => {
      const label = type === 'histogram' ? '' : (/\{(\w+)=/.exec(first)?.[1] ?? '');
      return { name, type, label, help };
    },
  );
}

const ROW = /^\| `(\w+)` \| (\w+) \| (?:`(\w+)` )?\| (.+) \|$/gm;

test('[O3] the table of docs/reference/METRICS.md is what a server says of itself', async () => {
  const rows = [...read('docs/reference/METRICS.md').matchAll(ROW)];
  const listed = rows.map(([, name = '', type = '', label = '', help = '']) => {
    return { name: `telemed_${name}`, type, label, help };
  });
  const byName = (one: Series, other: Series): number => one.name.localeCompare(other.name);
  expect(listed.toSorted(byName)).toEqual((await seriesOfServer()).toSorted(byName));
});

/** All texts under this key, however deep. */
function valuesOf(key: string, value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap((each) => valuesOf(key, each));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, each]) =>
    name === key && typeof each === 'string' ? [each] : valuesOf(key, each),
  );
}

/** The series that an expression of Prometheus names, with the labels that it asks for. */
function namedIn(expression: string): { name: string; labels: string[] }[] {
  return [...expression.matchAll(/\b(telemed_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', within = '']) => ({
    name: name.replace(/_(bucket|sum|count)$/, ''),
    labels: [...within.matchAll(/(\w+)\s*[=!]/g)].map(([, label = '']) => label),
  }));
}

describe('[O3] deploy/', () => {
  const alerts: unknown = parse(read('deploy/prometheus/alerts.yaml'));
  const dashboard: unknown = JSON.parse(read('deploy/grafana/dashboard.json'));
  test.each([
    ['prometheus/alerts.yaml', valuesOf('expr', alerts)],
    ['grafana/dashboard.json', valuesOf('expr', dashboard)],
  ])('%s asks for what a server has, by labels that it has', async (_, expressions) => {
    const series = new Map((await seriesOfServer()).map((each) => [each.name, each]));
    const named = expressions.flatMap(namedIn);
    expect(named.length).toBeGreaterThan(5);
    for (const { name, labels } of named) {
      const found = series.get(name);
      expect([name, found?.name]).toEqual([name, name]);
      const known = [found?.label, 'job', 'instance'];
      expect([name, labels.filter((label) => !known.includes(label))]).toEqual([name, []]);
    }
  });

  test('each alert has a name of its own, a severity, and a sentence that says what to do', () => {
    const names = valuesOf('alert', alerts);
    expect(names.length).toBeGreaterThan(5);
    expect(new Set(names).size).toBe(names.length);
    expect(valuesOf('severity', alerts)).toHaveLength(names.length);
    expect(valuesOf('summary', alerts)).toHaveLength(names.length);
    expect(valuesOf('description', alerts)).toHaveLength(names.length);
  });

  test('the panels have an expression each, and places that do not overlap', () => {
    const { panels = [] } = dashboard as { panels?: { id: number; gridPos: Place }[] };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const squares = panels.flatMap(({ gridPos }) => squaresOf(gridPos));
    expect(new Set(squares).size).toBe(squares.length);
  });

  test('Prometheus asks at the right address with a token, and knows the alerts', () => {
    const settings: unknown = parse(read('deploy/prometheus/prometheus.yaml'));
    expect(settings).toMatchObject({
      rule_files: ['alerts.yaml'],
      scrape_configs: [{ metrics_path: '/metrics', authorization: { credentials_file: expect.any(String) } }],
    });
  });
});

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}
const squaresOf = ({ x, y, w, h }: Place): string[] =>
  Array.from({ length: w * h }, (_, index) => `${x + (index % w)}/${y + Math.floor(index / w)}`);
