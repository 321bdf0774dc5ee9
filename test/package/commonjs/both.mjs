// A process that has the package in both formats has two of everything, and two of Yjs: it is told.
import { createRequire } from 'node:module';
import 'telemed-sync';

createRequire(import.meta.url)('telemed-sync');
