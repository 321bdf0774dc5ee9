import { useRef, useSyncExternalStore } from 'react';
import { Icon } from '../../web/icons.js';
import type { Player, Playing } from './player.js';
import { SCENES, type Scene } from './scenes.js';
import { SNIPPETS } from './snippets.js';
import { StageView } from './stage-view.js';

/** The scenes to choose from, and the drawing in which they are played. */
export function Theatre({ player }: { readonly player: Player }) {
  const playing = useSyncExternalStore(player.playing.subscribe, () => player.playing.current);
  const stage = useRef<HTMLDivElement>(null);
  const play = (scene: Scene): void => {
    stage.current?.scrollIntoView({ block: 'nearest' });
    void player.play(scene);
  };
  return (
    <section className="theatre" aria-label="Scenes">
      <ol className="scenes">
        {SCENES.map((scene) => (
          <SceneItem key={scene.id} {...{ scene, playing }} onPlay={() => play(scene)} />
        ))}
      </ol>
      <div ref={stage} className="stage-frame" data-testid="stage" data-phase={playing.phase}>
        <StageView stage={player.stage} scene={playing.scene} />
        <Caption playing={playing} />
        <details className="in-your-app">
          <summary>This in your app</summary>
          <pre>
            <code>{SNIPPETS[playing.scene.id]}</code>
          </pre>
        </details>
      </div>
    </section>
  );
}

interface SceneItemProps {
  readonly scene: Scene;
  readonly playing: Playing;
  readonly onPlay: () => void;
}

function SceneItem({ scene, playing, onPlay }: SceneItemProps) {
  const isCurrent = playing.scene === scene;
  const isPlaying = isCurrent && playing.phase === 'playing';
  return (
    <li className="scene" data-current={isCurrent || undefined}>
      <div>
        <h2>{scene.title}</h2>
        <p>{scene.text}</p>
      </div>
      <button
        type="button"
        className="button small"
        data-testid={`play-${scene.id}`}
        aria-label={`${isPlaying ? 'Play again' : 'Play'}: ${scene.title}`}
        onClick={onPlay}
      >
        <Icon name="play" size={14} /> {isPlaying ? 'Again' : 'Play'}
      </button>
    </li>
  );
}

function Caption({ playing }: { readonly playing: Playing }) {
  const { scene, phase, say, caption, isWaiting } = playing;
  return (
    <p className="caption" role="status" data-testid="caption">
      {phase === 'done' ? (
        <>
          <strong data-testid="merged">{caption}</strong> {scene.moral}
        </>
      ) : (
        say || 'Play a scene, or edit this record on the devices below: what happens is drawn here.'
      )}
      {isWaiting && ' Waiting for the server…'}
    </p>
  );
}
