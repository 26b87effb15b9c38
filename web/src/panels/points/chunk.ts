// The drawing of points by WebGL, a file of its own (points.js), which only runs with clouds load. It
// is there as the global `fedchainPoints` when page.js starts, since its script stands before.
import { Geometry, Mesh, Program, Renderer } from "ogl";
import { FILL, rotation, type Turn } from "./projection";

/** Colours of the marks, each red, green and blue from 0 to 1. */
export interface Colours {
  readonly dot: readonly number[];
  readonly cross: readonly number[];
  readonly ring: readonly number[];
  readonly chosen: readonly number[];
}

export interface Drawing {
  /** Change the marks: a number of MARK for each point, plus 4 for chosen ones. */
  mark(marks: Uint8Array): void;
  /** Draw at a turn, in a square of `size` pixels of the page. */
  draw(turn: Turn, size: number, colours: Colours): void;
  end(): void;
}

const VERTEX = `
attribute vec3 position;
attribute float mark;
uniform mat3 turn;
uniform float unit;
varying float kind;
void main() {
  vec3 seen = turn * position;
  kind = mark;
  float shape = mod(mark, 4.0);
  gl_Position = shape < 0.5 ? vec4(2.0, 2.0, 2.0, 1.0) : vec4(${FILL} * seen.xy, -0.5 * seen.z, 1.0);
  gl_PointSize = unit * (shape < 1.5 ? 1.0 : 2.5);
}`;

const FRAGMENT = `
precision mediump float;
varying float kind;
uniform vec3 dot_;
uniform vec3 cross_;
uniform vec3 ring;
uniform vec3 chosen;
void main() {
  float shape = mod(kind + 0.1, 4.0);
  vec2 at = abs(gl_PointCoord - 0.5);
  if (shape > 1.5 && shape < 2.5 && abs(at.x - at.y) > 0.11) discard;
  if (shape > 2.5 && abs(length(at) - 0.36) > 0.11) discard;
  vec3 own = shape < 1.5 ? dot_ : shape < 2.5 ? cross_ : ring;
  gl_FragColor = vec4(kind > 3.9 ? chosen : own, 1.0);
}`;

/** Whether this browser can draw with WebGL. */
export function canDraw(): boolean {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2") ?? canvas.getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

/** Begin to draw points, x, y, z interleaved, on a canvas. */
export function drawingOf(canvas: HTMLCanvasElement, places: Float32Array): Drawing {
  const renderer = new Renderer({
    canvas, alpha: true, preserveDrawingBuffer: true, dpr: Math.min(2, window.devicePixelRatio || 1),
  });
  const { gl } = renderer;
  const marks = { data: new Float32Array(places.length / 3), size: 1, needsUpdate: false };
  const geometry = new Geometry(gl, { position: { size: 3, data: places }, mark: marks });
  const uniforms = {
    turn: { value: new Float32Array(9) },
    unit: { value: 0 },
    dot_: { value: [0, 0, 0] }, cross_: { value: [0, 0, 0] }, ring: { value: [0, 0, 0] }, chosen: { value: [0, 0, 0] },
  };
  const program = new Program(gl, { vertex: VERTEX, fragment: FRAGMENT, uniforms });
  const mesh = new Mesh(gl, { mode: gl.POINTS, geometry, program, frustumCulled: false });
  return {
    mark(given) {
      marks.data.set(given);
      marks.needsUpdate = true;
    },
    draw(turn, size, colours) {
      if (renderer.width !== size) renderer.setSize(size, size);
      uniforms.unit.value = renderer.dpr * dotSize(marks.data.length);
      uniforms.turn.value = columns(rotation(turn));
      uniforms.dot_.value = [...colours.dot];
      uniforms.cross_.value = [...colours.cross];
      uniforms.ring.value = [...colours.ring];
      uniforms.chosen.value = [...colours.chosen];
      renderer.render({ scene: mesh });
    },
    end() {
      gl.getExtension("WEBGL_lose_context")?.loseContext();
    },
  };
}

/** Pixels of a dot: fewer where there are many points. Crosses and rings are two and a half times as wide. */
function dotSize(count: number): number {
  return count < 2000 ? 3.6 : count < 8000 ? 3 : 2.2;
}

/** A matrix column by column, as WebGL has it. */
function columns(rows: readonly number[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(rows, (_, at) => rows[3 * (at % 3) + Math.floor(at / 3)]!);
}
