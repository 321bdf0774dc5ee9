/** A line or two over the last hour. */
import type { Point } from './api.js';

export interface Line {
  readonly name: string;
  readonly of: (point: Point) => number;
}

interface ChartProps {
  readonly title: string;
  readonly points: readonly Point[];
  readonly lines: readonly Line[];
  readonly show: (value: number) => string;
  /** The scale ends at a round number of these. */
  readonly unit?: number;
}

const [WIDTH, HEIGHT] = [600, 120];
const HOUR = 3_600_000;

export function Chart({ title, points, lines, show, unit = 1 }: ChartProps) {
  const last = points.at(-1);
  const values = points.flatMap((point) => lines.map(({ of }) => of(point)));
  const top = niceAbove(Math.max(0, ...values) / unit) * unit;
  const end = last?.at ?? Date.now();
  const pathOf = ({ of }: Line) =>
    points
      .map((point, index) => {
        const x = WIDTH - ((end - point.at) / HOUR) * WIDTH;
        const y = HEIGHT - (of(point) / top) * HEIGHT;
        return `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
      })
      .join('');
  const nowOf = ({ of }: Line) => (last === undefined ? '–' : show(of(last)));
  const summary = lines.map((line) => `${line.name} ${nowOf(line)}`).join(', ');
  return (
    <figure className="panel chart">
      <figcaption>
        <h3>{title}</h3>
        <ul className="legend">
          {lines.map((line, index) => (
            <li key={line.name} data-line={index}>
              <span className="stroke" aria-hidden="true" />
              {line.name} <strong>{nowOf(line)}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
      <div className="plot">
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${title}, the last hour: now ${summary}; the top of the scale is ${show(top)}`}
        >
          {[0.25, 0.5, 0.75].map((part) => (
            <line key={part} className="grid" x1="0" x2={WIDTH} y1={HEIGHT * part} y2={HEIGHT * part} />
          ))}
          {lines.map((line, index) => (
            <path key={line.name} data-line={index} d={pathOf(line)} />
          ))}
        </svg>
        <span className="scale" aria-hidden="true">
          {show(top)}
        </span>
      </div>
      <p className="axis" aria-hidden="true">
        <span>1 h ago</span>
        <span>now</span>
      </p>
    </figure>
  );
}

/** 1, 2 or 5 times a power of ten. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((times) => times * power >= value) ?? 10) * power;
}
