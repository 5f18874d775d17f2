import { expect, test } from "bun:test";
import { fstatSync, openSync } from "node:fs";
import { descriptorChannel, sendDescriptors, takeDescriptors } from "./descriptors.ts";
import { libc } from "./libc.ts";
import { closeFd } from "./listen.ts";

const F_GETFD = 1;
const CLOEXEC = 1;

test("descriptors go through a channel, many and in order, to the numbers that are asked for", () => {
  const [one, other] = descriptorChannel();
  const files = ["/dev/null", "/dev/zero", "/proc/self/stat"].map((path) => openSync(path, "r"));
  const sent = Array.from({ length: 100 }, (_, i) => files[i % files.length]!);
  expect(sendDescriptors(one, sent)).toBe(true);
  // What is under way arrives also when the sender is gone.
  closeFd(one);
  takeDescriptors(other, sent.length, 300);
  for (const [i, fd] of sent.entries()) {
    expect([fstatSync(300 + i).ino, fstatSync(300 + i).dev]).toEqual([fstatSync(fd).ino, fstatSync(fd).dev]);
    expect(libc.fcntl(300 + i, F_GETFD, 0)).toBe(CLOEXEC);
    closeFd(300 + i);
  }
  expect(() => takeDescriptors(other, 1, 300)).toThrow("have not come");
  closeFd(other);
  for (const fd of files) closeFd(fd);
});

test("a number that is in use is not taken over; an end that is gone takes none", () => {
  const [one, other] = descriptorChannel();
  const file = openSync("/dev/null", "r");
  expect(sendDescriptors(one, [file])).toBe(true);
  expect(() => takeDescriptors(other, 1, file)).toThrow("in use");
  closeFd(other);
  expect(sendDescriptors(one, [file])).toBe(false);
  closeFd(one);
  closeFd(file);
});
