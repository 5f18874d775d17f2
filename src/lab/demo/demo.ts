import { catalog } from "../../catalog.ts";
import { type MethodName, methodNames } from "../../core/service.ts";
import { createLabStage } from "./lab-stage.ts";
import { perform } from "./perform.ts";
import { DEMO_SCHEMA, type DemoReport, type MethodResult } from "./result.ts";
import { exampleOf, type Scene, sharpen, toScene } from "./scene.ts";
import type { Stage } from "./stage.ts";

export interface DemoOptions {
  /** Null: all. */
  only: readonly MethodName[] | null;
  /** Progress, one line each. */
  say(text: string): void;
  /** As soon as a method is through. */
  show(result: MethodResult): void;
}

/** Stages that are up, so that an interrupt can close them. */
const open = new Set<Stage>();

/** Closes whatever is still up. */
export async function closeStages(): Promise<void> {
  await Promise.allSettled([...open].map((stage) => stage.close()));
  open.clear();
}

/** Shows the methods, one after the other. Never throws: what goes wrong is in the report. */
export async function runDemo({ only, say, show }: DemoOptions): Promise<DemoReport> {
  const began = performance.now();
  const methods: MethodResult[] = [];
  for (const name of methodNames.filter((method) => only?.includes(method) ?? true)) {
    const result = await showMethod(name, (text) => say(`${name}: ${text}`));
    methods.push(result);
    show(result);
  }
  const took = Math.round(performance.now() - began) / 1000;
  return { schema: DEMO_SCHEMA, ok: methods.every(({ works }) => works), leftOut: [], methods, took };
}

async function showMethod(name: MethodName, say: (text: string) => void): Promise<MethodResult> {
  const began = performance.now();
  let stage: Stage | null = null;
  try {
    const scene = sceneOf(name);
    stage = await createLabStage(scene, say);
    open.add(stage);
    const result = await perform(stage, scene, say);
    return { ...result, took: Math.round(performance.now() - began) / 1000 };
  } catch (error) {
    const failures = [error instanceof Error ? error.message : String(error)];
    const took = Math.round(performance.now() - began) / 1000;
    return { method: name, where: "lab", works: false, failures, path: null, shares: null, death: null, took };
  } finally {
    if (stage) {
      open.delete(stage);
      await stage.close();
    }
  }
}

function sceneOf(name: MethodName): Scene {
  const method = catalog.methods.find((m) => m.name === name);
  if (!method) throw new Error(`this build has no method ${name}`);
  return toScene(method, sharpen(exampleOf(name)));
}
